// Gets one document over HTTPS: the client of SPIFFE bundle endpoints (SPIFFE_Federation.md section
// 5.2), with both of its profiles. The server is verified by its SPIFFE ID (https_spiffe) or as
// browsers do it, by its name and the system's roots (https_web).
//
// Made for one fetch, on a thread with an event loop; done() or failed() comes once, never from inside
// of start(). Nothing blocks. Redirects (three at most) are followed under the same rules (5.2.1.4).
#pragma once

#include "grpc/grpc_types.h"

#include <QObject>
#include <QUrl>

#include <chrono>
#include <memory>

namespace lintel::grpc {

struct DocumentRequest {
    QUrl url;             // https, without user
    SpiffeId server;      // who must answer; empty: the host of the URL, by the Web PKI
    TrustBundles bundles; // for `server`
    Timestamp verifyAt{}; // when its certificate has to be valid; zero: now by the system's clock
    std::chrono::milliseconds patience{30'000};
};

class DocumentFetch final : public QObject
{
    Q_OBJECT
public:
    explicit DocumentFetch(DocumentRequest request, QObject *parent = nullptr);
    ~DocumentFetch() override;

    void start();
    /// Malformed: not an address that this can get documents from.
    [[nodiscard]] static Result<void> checkUrl(const QUrl &url);

Q_SIGNALS:
    void done(const QByteArray &body);
    void failed(const lintel::Error &why);

private:
    class Exchange;
    std::shared_ptr<Exchange> m_exchange;
};

} // namespace lintel::grpc
