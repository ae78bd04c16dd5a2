// The cloud's side of the wire: primary host of every gateway. Takes custody of what they send into
// the historian, and acknowledges after the commit. Tells the historian who is online and what they
// measure.
//
// Owns none of its parts. One thread, the transport's. A failing disk stops acknowledgements, never
// the process; see CustodyIntake.
#pragma once

#include "custody/custody_intake.h"
#include "custody/refusal_notes.h"
#include "historian/historian.h"

#include <QObject>
#include <QTimer>

#include <optional>

namespace lintel {

class IngestionService : public QObject
{
    Q_OBJECT
public:
    IngestionService(sparkplug::HostSession &host, historian::Historian &historian, CustodyStore &store,
                     const Clock &clock, QObject *parent = nullptr);

    void start();
    /// Stops accepting, commits what was taken, STATE offline; then stopped().
    void stop();

    [[nodiscard]] CustodyIntake::Counters counters() const { return m_intake.counters(); }
    /// Why `node` may not speak as the device `name`; nothing when it may. See Historian.
    [[nodiscard]] std::optional<Error> refusal(const sparkplug::NodeId &node, const QString &name) const;
    [[nodiscard]] QString lastSetAside() const { return m_intake.lastSetAside(); }
    [[nodiscard]] bool isStoreFailing() const { return m_intake.isFailing(); }

Q_SIGNALS:
    void stopped();
    void trouble(const lintel::Error &what);
    void notice(const QString &what);

private:
    void onBatch(const sparkplug::HostBatch &batch);

    void onBorn(const sparkplug::Participant &who);
    void onDied(const sparkplug::Participant &who);
    /// False, and now and then a sentence, when the name is another node's.
    [[nodiscard]] bool mayUse(const sparkplug::NodeId &node, const QString &name);
    void tellIfFailed(const Result<void> &result);

    sparkplug::HostSession &m_host;
    historian::Historian &m_historian;
    const Clock &m_clock;
    CustodyIntake m_intake;
    RefusalNotes m_refusals;
    QTimer m_tick;
};

} // namespace lintel
