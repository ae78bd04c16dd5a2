// The configuration file of lintel-authority, as far as its sections depend on each other.
#include "authority/program_config.h"

#include <QFile>
#include <QTemporaryDir>
#include <QTest>

using namespace lintel;
using namespace lintel::authority;
using namespace Qt::StringLiterals;

class TestAuthorityConfig : public QObject
{
    Q_OBJECT

    QTemporaryDir m_dir;

    Result<ProgramConfig> read(const QByteArray &more) const
    {
        QFile file(m_dir.filePath(u"authority.yaml"_s));
        if (!file.open(QIODevice::WriteOnly))
            return Error{Errc::Io, file.errorString()};
        file.write("authority: {trust_domain: building-1.smart.local, state_dir: /tmp/x}\n" + more);
        file.close();
        return readProgramConfig(file.fileName());
    }

private Q_SLOTS:
    void firstSeen_isOnlyGenuineWhereMakersAreKnown_data()
    {
        QTest::addColumn<QByteArray>("yaml");
        QTest::addColumn<int>("expected");
        const auto row = [](const char *name, const char *yaml, FirstSeen expected) {
            QTest::newRow(name) << QByteArray(yaml) << int(expected);
        };
        row("nothing said", "", FirstSeen::QueueAll);
        row("makers", "attestation: {vendor_ca_dir: /etc/makers}\n", FirstSeen::QueueGenuine);
        row("makers, all the same", "attestation: {vendor_ca_dir: /etc/makers, first_seen: queue}\n",
            FirstSeen::QueueAll);
        row("makers, nobody", "attestation: {vendor_ca_dir: /etc/makers, first_seen: refuse}\n", FirstSeen::Refuse);
    }
    void firstSeen_isOnlyGenuineWhereMakersAreKnown()
    {
        QFETCH(const QByteArray, yaml);
        QFETCH(const int, expected);
        const auto config = read(yaml);
        QVERIFY2(config, config ? "" : qPrintable(config.error().message));
        QCOMPARE(int(config->authority.firstSeen), expected);
    }

    void vendorCertificate_isOnlyRequiredWhereMakersAreKnown()
    {
        QVERIFY(!read("attestation: {vendor_ca_dir: /etc/makers}\n")->requiresVendorCertificate);
        QVERIFY(read("attestation: {vendor_ca_dir: /etc/makers, require_vendor_certificate: true}\n")
                    ->requiresVendorCertificate);
        const auto nobody = read("attestation: {require_vendor_certificate: true}\n");
        QVERIFY(!nobody);
        QVERIFY2(nobody.error().message.contains("vendor_ca_dir"_L1), qPrintable(nobody.error().message));
    }

    void types_areAllUnlessSomeAreNamed()
    {
        const QStringList all{u"tpm"_s, u"lintel_tpm"_s, u"join_token"_s};
        QCOMPARE(read({})->authority.attestationTypes, all);
        QCOMPARE(read("attestation: {types: [lintel_tpm]}\n")->authority.attestationTypes,
                 QStringList{u"lintel_tpm"_s});
        for (const QByteArray bad : {"[]", "[tpm, tpm]", "[x509pop]", "[tpm, lintel_tpm, join_token, tpm]"})
            QVERIFY2(!read("attestation: {types: " + bad + "}\n"), bad.constData());
    }

    void channelBindings_areTheExporterUnlessTheCertificateIsAllowed()
    {
        const auto bindings = [this](const QByteArray &text) { return read(text)->channelBindings; };
        using enum ChannelBinding;
        QCOMPARE(bindings({}), QList{Exporter});
        QCOMPARE(bindings("attestation: {channel_bindings: [server_certificate]}\n"), QList{ServerCertificate});
        QCOMPARE(bindings("attestation:\n  channel_bindings: [exporter, server_certificate]\n"),
                 (QList{Exporter, ServerCertificate}));
        for (const QByteArray bad : {"[]", "[exporter, exporter]", "[tls-unique]", "[exporter, none]"})
            QVERIFY2(!read("attestation: {channel_bindings: " + bad + "}\n"), bad.constData());
    }

    void limits_ofAgentsAreReadAndAreNeverNothing()
    {
        QCOMPARE(read({})->authority.signaturesPerAgent, 500);
        QCOMPARE(read({})->authority.writesPerAgent, 60);
        const auto config = read("limits: {signatures_per_agent: 20, writes_per_agent: 6}\n");
        QVERIFY2(config, config ? "" : qPrintable(config.error().message));
        QCOMPARE(config->authority.signaturesPerAgent, 20);
        QCOMPARE(config->authority.writesPerAgent, 6);
        for (const QByteArray key : {"signatures_per_agent", "writes_per_agent"}) {
            const auto none = read("limits: {" + key + ": 0}\n");
            QVERIFY(!none);
            QVERIFY2(none.error().message.contains(QString::fromLatin1(key)), qPrintable(none.error().message));
        }
    }

    void nameConstraint_isSwitchedOffByItsKeyAlone()
    {
        QVERIFY(read({})->authority.nameConstraint);
        QVERIFY(read("ca: {name_constraint: true}\n")->authority.nameConstraint);
        QVERIFY(!read("ca: {name_constraint: false}\n")->authority.nameConstraint);
        QCOMPARE(read("ca: {name_constraint: sometimes}\n").error().code, Errc::Malformed);
        QCOMPARE(read("ca: {name_constraints: false}\n").error().code, Errc::Malformed);
    }
};

QTEST_APPLESS_MAIN(TestAuthorityConfig)
#include "tst_authority_config.moc"
