// One TPM, several threads: OpenSSL signs wherever a handshake happens to run.
#include "fakes/software_tpm.h"
#include "tpm/attestation_verifier.h"
#include "tpm_test_tools.h"

#include <QtTest>

#include <atomic>
#include <thread>

using namespace lintel;
using namespace lintel::test;
using namespace Qt::StringLiterals;

class TestTpmThreads : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void twoThreads_signWithTheSameKeyAndWithTheirOwn()
    {
        SoftwareTpm tpm;
        const auto device = must(TpmDevice::open({tpm.tcti(), tpm.stateDir(), EndorsementChoice::EccP256}));
        const auto shared = must(device->evpKey(must(device->createKey())));
        std::atomic<int> good = 0;
        const auto work = [&] {
            const auto own = must(device->evpKey(must(device->createKey())));
            for (int i = 0; i < 10; ++i) {
                good += tpm::publicKeyOfCsr(csrOf(shared.get())) ? 1 : 0;
                good += tpm::publicKeyOfCsr(csrOf(own.get())) ? 1 : 0;
            }
        };
        std::thread first(work);
        std::thread second(work);
        for (int i = 0; i < 5; ++i)
            good += device->quote(u"sha256"_s, {0}, "nonce"_ba) ? 1 : 0;
        first.join();
        second.join();
        QCOMPARE(good.load(), 45);
    }

    void handshakes_runOnTwoThreads()
    {
        SoftwareTpm tpm;
        const auto device = must(TpmDevice::open({tpm.tcti(), tpm.stateDir(), EndorsementChoice::EccP256}));
        const auto key = must(device->evpKey(must(device->createKey())));
        const auto certificate = selfSigned(key.get());
        const auto client = tlsContext(TLS_client_method(), key.get(), certificate.get(), certificate.get());
        const auto server = tlsContext(TLS_server_method(), key.get(), certificate.get(), certificate.get());
        std::atomic<int> good = 0;
        const auto work = [&] {
            for (int i = 0; i < 5; ++i)
                good += handshake(client.get(), server.get()) ? 1 : 0;
        };
        std::thread first(work);
        std::thread second(work);
        first.join();
        second.join();
        QCOMPARE(good.load(), 10);
    }
};

QTEST_GUILESS_MAIN(TestTpmThreads)
#include "tst_tpm_threads.moc"
