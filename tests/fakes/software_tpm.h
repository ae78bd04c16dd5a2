// TPMs in software for tests: swtpm processes with endorsement certificates of a throw-away vendor.
// Each is started by its test and ended by its process id, also when the test fails.
#pragma once

#include <QProcess>
#include <QString>
#include <QTemporaryDir>

#include <memory>

namespace lintel::test {

/// A TPM vendor: the certificate authority under which endorsement keys are certified.
class TpmVendor
{
public:
    TpmVendor();
    /// Directory with the vendor's certificates, for VendorAuthorities. Filled by the first TPM.
    [[nodiscard]] QString certificatesDir() const;

private:
    friend class SoftwareTpm;
    [[nodiscard]] QString configFile() const;
    void publish() const;

    QTemporaryDir m_dir;
};

/// A TPM 2.0 on a socket. Throws std::runtime_error with what hinders it.
class SoftwareTpm
{
public:
    /// Without a vendor the TPM has no endorsement certificates.
    explicit SoftwareTpm(const TpmVendor *vendor = nullptr);
    ~SoftwareTpm();
    SoftwareTpm(const SoftwareTpm &) = delete;
    SoftwareTpm &operator=(const SoftwareTpm &) = delete;

    void start();
    /// Ends the process; what the TPM keeps in NV stays.
    void stop();
    /// For TpmOptions::tcti.
    [[nodiscard]] QString tcti() const;
    /// A directory of its own for TpmOptions::stateDir.
    [[nodiscard]] QString stateDir() const;

private:
    void manufacture(const TpmVendor *vendor) const;
    [[nodiscard]] QString socketFile() const;

    QTemporaryDir m_dir;
    std::unique_ptr<QProcess> m_process;
};

} // namespace lintel::test
