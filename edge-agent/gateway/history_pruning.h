// Takes what became too old out of the gateway's history, each hour. A clock that jumped ahead would make
// everything too old: nothing goes before the clock was checked by somebody else.
// Owner: main(). Thread: the history's. Failure: trouble(), and the next try an hour later.
#pragma once

#include "domain/result.h"
#include "domain/timestamp.h"

#include <QObject>
#include <QTimer>

#include <functional>

namespace lintel {

class HistoryPruning : public QObject
{
    Q_OBJECT
public:
    /// `isClockChecked`: a connection to a broker, whose TLS handshake compared the clock with certificates.
    HistoryPruning(std::function<Result<quint64>()> prune, std::function<bool()> isClockChecked,
                   QObject *parent = nullptr);

    void start(Millis every = std::chrono::hours{1});

Q_SIGNALS:
    void trouble(const lintel::Error &what);

private:
    void step();

    const std::function<Result<quint64>()> m_prune;
    const std::function<bool()> m_isClockChecked;
    Millis m_every{};
    QTimer m_timer;
};

} // namespace lintel
