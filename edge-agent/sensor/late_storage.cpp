#include "sensor/late_storage.h"

namespace lintel {

/// Tries to open at each append; the caller leaves time between attempts.
class LateStorage::Spool final : public ReadingSpool
{
public:
    explicit Spool(LateStorage &storage) : m_storage(storage) {}

    Result<Appended> append(std::span<const IncomingBatch> batches) override
    {
        if (const auto opened = m_storage.tryOpen(); !opened)
            return opened.error();
        return real().append(batches);
    }
    Result<void> noteUnstored(const Unstored &held) override
    {
        return isOpen() ? real().noteUnstored(held) : Result<void>(m_storage.m_why);
    }
    Result<QList<StoredBatch>> read(Msn after, int maxBatches) override
    {
        return isOpen() ? real().read(after, maxBatches) : Result<QList<StoredBatch>>(m_storage.m_why);
    }
    Result<void> acknowledge(Msn upTo) override
    {
        return isOpen() ? real().acknowledge(upTo) : Result<void>(m_storage.m_why);
    }
    Msn contiguousReceipt(const StreamId &stream) const override
    {
        return isOpen() ? real().contiguousReceipt(stream) : 0;
    }
    Result<QList<Loss>> senderDropped(const StreamId &stream, const QString &device, Msn tail) override
    {
        return isOpen() ? real().senderDropped(stream, device, tail) : Result<QList<Loss>>(m_storage.m_why);
    }
    SpoolStatus status() const override { return isOpen() ? real().status() : SpoolStatus{}; }
    Result<QList<Loss>> losses(int max) const override
    {
        return isOpen() ? real().losses(max) : Result<QList<Loss>>(m_storage.m_why);
    }

private:
    [[nodiscard]] bool isOpen() const { return m_storage.isOpen(); }
    [[nodiscard]] ReadingSpool &real() const { return *m_storage.m_storage.spool; }

    LateStorage &m_storage;
};

class LateStorage::State final : public StateStore
{
public:
    explicit State(LateStorage &storage) : m_storage(storage) {}

    Result<std::optional<QByteArray>> load(const QString &key) const override
    {
        return isOpen() ? real().load(key) : Result<std::optional<QByteArray>>(m_storage.m_why);
    }
    Result<void> save(const QString &key, const QByteArray &value) override
    {
        return isOpen() ? real().save(key, value) : Result<void>(m_storage.m_why);
    }
    Result<void> remove(const QString &key) override
    {
        return isOpen() ? real().remove(key) : Result<void>(m_storage.m_why);
    }
    Result<QStringList> keys(const QString &prefix) const override
    {
        return isOpen() ? real().keys(prefix) : Result<QStringList>(m_storage.m_why);
    }

private:
    [[nodiscard]] bool isOpen() const { return m_storage.isOpen(); }
    [[nodiscard]] StateStore &real() const { return *m_storage.m_storage.state; }

    LateStorage &m_storage;
};

LateStorage::LateStorage(Open open)
    : m_open(std::move(open)), m_why{Errc::Unavailable, QStringLiteral("The spool has not been opened yet.")},
      m_spool(std::make_unique<Spool>(*this)), m_state(std::make_unique<State>(*this))
{}

LateStorage::~LateStorage() = default;

Result<void> LateStorage::tryOpen()
{
    if (isOpen())
        return {};
    auto opened = m_open();
    if (!opened) {
        m_why = opened.error();
        return opened.error();
    }
    m_storage = *std::move(opened);
    return {};
}

} // namespace lintel
