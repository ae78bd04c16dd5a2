// SPDX-License-Identifier: GPL-3.0-only
#include "trust/trust_page_model.h"

#include "devices/device_condition.h"
#include "feed/building_order.h"
#include "text/format.h"

#include <algorithm>
#include <utility>

namespace lintel {
namespace {

using namespace std::chrono_literals;

// An answer of the authority that is older than this is told with its time.
constexpr Millis kFresh = 60s;
constexpr Millis kTrustLow = 15min;    // as in the strip
constexpr qsizetype kShownDigits = 16; // of a hash in a command; the authority takes eight and more

/// Reasons are written in halves of sentences, too.
QString asSentence(const QString &text)
{
    if (text.isEmpty())
        return text;
    const QString capital = text.left(1).toUpper() + text.mid(1);
    return capital.endsWith(QLatin1Char('.')) ? capital : capital + QLatin1Char('.');
}

QVariantMap row(const QString &title, const QString &stateText, const QString &detail, const QString &note,
                int priority)
{
    QStringList spoken{title, stateText, detail, note};
    spoken.removeAll(QString());
    return {
        {QStringLiteral("title"), title},       {QStringLiteral("stateText"), stateText},
        {QStringLiteral("detail"), detail},     {QStringLiteral("note"), note},
        {QStringLiteral("priority"), priority}, {QStringLiteral("accessibleText"), spoken.join(QStringLiteral(", "))}};
}

/// Whose row it is where several gateways tell; `owner` is empty where one does.
QVariantMap placed(QVariantMap row, const QString &owner)
{
    const QString key = QStringLiteral("accessibleText");
    row.insert(QStringLiteral("owner"), owner);
    if (!owner.isEmpty())
        row.insert(key, QString(owner + QStringLiteral(", ") + row.value(key).toString()));
    return row;
}

/// What somebody copies holds a site as Sparkplug allows it and no shell's characters, or a word to replace.
QString siteInCommand(const QString &site)
{
    const bool isPlain =
        !site.isEmpty() && !site.startsWith(QLatin1Char('-')) && std::ranges::all_of(site, [](QChar c) {
            return c.unicode() < 0x80 && (c.isLetterOrNumber() || QStringLiteral("-._").contains(c));
        });
    return isPlain ? site : QStringLiteral("SITE");
}

/// Behind "building-2: ".
QString asContinuation(const QString &sentence)
{
    return sentence.left(1).toLower() + sentence.mid(1);
}

bool isHeardOf(const DeviceState &device)
{
    return !device.isOnlyExpected;
}

} // namespace

TrustPageModel::TrustPageModel(const BuildingStore &store, QObject *parent) : QObject(parent), m_store(store)
{
    connect(&store, &BuildingStore::admissionChanged, this, &TrustPageModel::refresh);
    connect(&store, &BuildingStore::linkChanged, this, &TrustPageModel::refresh);
}

PageState::State TrustPageModel::state() const
{
    return pageState(m_store, m_store.deviceCount() > 0 || isTold());
}

void TrustPageModel::refresh()
{
    if (auto rows = listBroken(); rows != m_broken) {
        m_broken = std::move(rows);
        Q_EMIT brokenChanged();
    }
    if (auto rows = listWaiting(); rows != m_waiting) {
        m_waiting = std::move(rows);
        Q_EMIT waitingChanged();
    }
    if (auto rows = listRefused(); rows != m_refused) {
        m_refused = std::move(rows);
        Q_EMIT refusedChanged();
    }
    if (auto rows = listGateways(); rows != m_gateways) {
        m_gateways = std::move(rows);
        Q_EMIT gatewaysChanged();
    }
    Q_EMIT refreshed();
}

QVariantList TrustPageModel::listBroken() const
{
    QVariantList rows;
    for (const int index : inOrder(m_store)) {
        const DeviceState &device = m_store.device(index);
        if (!device.identity.isAbnormal())
            continue;
        const DeviceCondition condition = identityCondition(device.identity, now());
        QString note = asSentence(condition.reason);
        if (device.identity.state == DeviceIdentity::State::Revoked)
            note = (note + QLatin1Char(' ') + tr("Only a new enrolment brings it back.")).trimmed();
        rows.append(row(device.name, condition.text, {}, note, m_store.isCut() ? 0 : condition.priority));
    }
    return rows;
}

bool TrustPageModel::isTold() const
{
    return std::ranges::any_of(m_store.admissions(), &Admission::answers);
}

QVariantList TrustPageModel::listWaiting() const
{
    QVariantList rows;
    for (const Admission &admission : m_store.admissions())
        rows += waitingAt(admission);
    return rows;
}

QVariantList TrustPageModel::waitingAt(const Admission &admission) const
{
    QVariantList rows;
    for (const WaitingDevice &device : admission.waiting) {
        const QString title = device.maker.isEmpty() ? tr("A device with a TPM of unknown make")
                                                     : tr("A device with a TPM of %1, certified").arg(device.maker);
        QStringList seen;
        if (device.firstSeen)
            seen.append(tr("first seen %1").arg(format::time(*device.firstSeen, now())));
        if (device.lastSeen)
            seen.append(tr("last %1").arg(format::time(*device.lastSeen, now())));
        if (device.attempts > 1)
            seen.append(tr("%1 attempts").arg(QLocale().toString(device.attempts)));
        if (!device.address.isEmpty())
            seen.append(tr("from %1").arg(device.address));
        QVariantMap one = placed(row(title, {}, seen.join(QStringLiteral(", ")), {}, 0), m_store.ownerOf(admission));
        one.insert(QStringLiteral("hash"), device.ekHash);
        one.insert(QStringLiteral("command"),
                   QStringLiteral("lintelctl device approve %1 --name NAME --kind KIND --site %2")
                       .arg(device.ekHash.first(kShownDigits), siteInCommand(admission.site)));
        rows.append(one);
    }
    return rows;
}

bool TrustPageModel::isRecent(const RefusedCertificate &refused) const
{
    return !m_store.isCut() && refused.last && now() - *refused.last <= Millis(kRecent);
}

QVariantList TrustPageModel::listRefused() const
{
    QVariantList rows;
    for (const Admission &admission : m_store.admissions())
        rows += refusedAt(admission);
    return rows;
}

QVariantList TrustPageModel::refusedAt(const Admission &admission) const
{
    QVariantList rows;
    for (const RefusedCertificate &client : admission.refused) {
        QString title = client.who;
        if (client.who == client.from)
            title = tr("A client without a name");
        else if (!client.isProved)
            title = tr("Claims to be %1").arg(client.who);
        QStringList seen;
        if (client.count > 1 && client.first)
            seen.append(
                tr("%1 times since %2").arg(QLocale().toString(client.count), format::time(*client.first, now())));
        if (!client.from.isEmpty())
            seen.append(tr("from %1").arg(client.from));
        const QString state = client.last ? tr("refused %1").arg(format::time(*client.last, now())) : tr("refused");
        // Its name stands above already.
        const QString why = client.reason.startsWith(client.who + QLatin1Char(' '))
                                ? client.reason.sliced(client.who.size() + 1)
                                : client.reason;
        rows.append(
            placed(row(title, state, seen.join(QStringLiteral(", ")), asSentence(why), isRecent(client) ? 3 : 0),
                   m_store.ownerOf(admission)));
    }
    return rows;
}

QVariantList TrustPageModel::listGateways() const
{
    QVariantList rows;
    for (const BuildingTrust &trust : m_store.trusts()) {
        const QString owner = m_store.ownerOf(trust);
        const auto left = trust.left(now());
        QString state = m_store.isCut() ? tr("unknown, no connection")
                        : !left         ? tr("no end in sight")
                        : *left <= 0ms  ? tr("has ended")
                                        : format::span(*left);
        QStringList facts;
        if (left && !trust.credential.isEmpty())
            facts.append(*left <= 0ms ? tr("ended: %1").arg(trust.credential)
                                      : tr("ends first: %1").arg(trust.credential));
        if (!trust.clock.isEmpty())
            facts.append(tr("clock: %1").arg(trust.clock));
        const int priority = m_store.isCut() || !left || *left >= kTrustLow ? 0 : *left <= 0ms ? 1 : 2;
        rows.append(
            row(owner.isEmpty() ? trust.gateway : owner, state, {}, facts.join(QStringLiteral(" · ")), priority));
    }
    return rows;
}

QString TrustPageModel::brokenNote() const
{
    if (!m_broken.isEmpty())
        return {};
    int valid = 0;
    int heard = 0;
    for (int i = 0; i < m_store.deviceCount(); ++i) {
        const DeviceState &device = m_store.device(i);
        heard += isHeardOf(device) ? 1 : 0;
        valid += isHeardOf(device) && device.identity.state == DeviceIdentity::State::Valid ? 1 : 0;
    }
    if (valid == 0)
        return tr("Nobody has told how the identities of these devices stand.");
    if (valid == heard)
        return heard == 1 ? tr("The certificate of the one device is in order.")
                          : tr("The certificates of all %1 devices are in order.").arg(heard);
    return tr("The certificates of %1 devices are in order; nothing is told of %2.").arg(valid).arg(heard - valid);
}

/// What is to be said of those who wait there; empty: the rows say it.
QString TrustPageModel::waitingNoteOf(const Admission &admission) const
{
    if (!admission.tellsOfWaiting)
        return tr("Not known: %1 does not take its identity from an authority.").arg(admission.gateway);
    if (!admission.waitingAsOf)
        return admission.waitingProblem.isEmpty() ? tr("Not known yet: the authority was not asked.")
                                                  : tr("Not known: %1").arg(admission.waitingProblem);
    QStringList notes;
    if (now() - *admission.waitingAsOf > kFresh)
        notes.append(tr("As of %1. %2").arg(format::time(*admission.waitingAsOf, now()), admission.waitingProblem));
    const auto listed = quint64(admission.waiting.size());
    if (admission.waitingTotal > listed)
        notes.append(tr("%1 more wait; this shows them all: lintelctl device list --state pending.")
                         .arg(QLocale().toString(admission.waitingTotal - listed)));
    if (admission.waitingTotal == 0)
        notes.append(tr("Nobody waits."));
    return notes.join(QLatin1Char(' ')).simplified();
}

QString TrustPageModel::refusedNoteOf(const Admission &admission) const
{
    if (!admission.tellsOfRefused)
        return tr("Not known: the broker of %1 does not tell.").arg(admission.gateway);
    return admission.refused.isEmpty() ? tr("Nobody was refused since the broker started.") : QString();
}

/// Of one gateway its note; of several a line for each that has one, and one line when all have the same.
QString TrustPageModel::noteOfAll(QString (TrustPageModel::*noteOf)(const Admission &) const) const
{
    const QList<Admission> &all = m_store.admissions();
    if (all.isEmpty() || (all.size() == 1 && !isTold()))
        return tr("Not known: no gateway tells.");
    QStringList notes;
    for (const Admission &admission : all)
        notes.append(admission.answers ? (this->*noteOf)(admission)
                     : !admission.answeredAt
                         ? tr("No answer yet.")
                         : tr("No answer since %1.").arg(format::time(*admission.answeredAt, now())));
    if (notes.count(notes.first()) == notes.size() && isTold())
        return notes.first();
    QStringList lines;
    for (qsizetype i = 0; i < all.size(); ++i) {
        if (!notes.at(i).isEmpty())
            lines.append(QStringLiteral("%1: %2").arg(m_store.ownerOf(all.at(i)), asContinuation(notes.at(i))));
    }
    return lines.join(QLatin1Char('\n'));
}

QString TrustPageModel::waitingNote() const
{
    const QString note = noteOfAll(&TrustPageModel::waitingNoteOf);
    if (m_waiting.isEmpty())
        return note;
    const QString advice = tr("Compare the hash with the device's label before you let it in.");
    const QLatin1Char between(m_store.admissions().size() > 1 ? '\n' : ' ');
    return note.isEmpty() ? advice : note + between + advice;
}

QString TrustPageModel::refusedNote() const
{
    return noteOfAll(&TrustPageModel::refusedNoteOf);
}

int TrustPageModel::waitingTotal() const
{
    constexpr quint64 kMostShown = 9'999;
    quint64 total = 0;
    for (const Admission &admission : m_store.admissions())
        total += std::min(admission.waitingTotal, kMostShown);
    return int(std::min(total, kMostShown));
}

QString TrustPageModel::gatewaysNote() const
{
    return m_gateways.isEmpty() ? tr("Not known: no gateway tells.") : QString();
}

int TrustPageModel::recentRefusals() const
{
    std::ptrdiff_t count = 0;
    for (const Admission &admission : m_store.admissions())
        count +=
            std::ranges::count_if(admission.refused, [this](const RefusedCertificate &one) { return isRecent(one); });
    return int(count);
}

int TrustPageModel::attention() const
{
    if (m_store.isCut())
        return 0;
    if (const int refused = recentRefusals(); refused > 0)
        return refused;
    return waitingTotal();
}

int TrustPageModel::attentionPriority() const
{
    return recentRefusals() > 0 ? 3 : 0;
}

QString TrustPageModel::summary() const
{
    if (m_store.isCut())
        return tr("last known");
    QStringList parts;
    if (!m_broken.isEmpty())
        parts.append(tr("%1 not in order").arg(m_broken.size()));
    if (const int waiting = waitingTotal(); waiting > 0)
        parts.append(waiting == 1 ? tr("1 waits for approval")
                                  : tr("%1 wait for approval").arg(QLocale().toString(waiting)));
    if (const int refused = recentRefusals(); refused > 0)
        parts.append(tr("%1 refused just now").arg(refused));
    const auto &all = m_store.admissions();
    const auto silent = all.size() - std::ranges::count_if(all, &Admission::answers);
    if (all.size() > 1 && silent > 0)
        parts.append(silent == 1 ? tr("1 gateway does not answer") : tr("%1 gateways do not answer").arg(silent));
    return parts.join(QStringLiteral(", "));
}

} // namespace lintel
