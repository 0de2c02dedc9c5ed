#include "io/net/http_server.h"

#include <sys/resource.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>

#include <thread>

#include "base/error.h"
#include "io/net/http_session.h"
#include "io/process/loop_thread.h"

namespace weir {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

class Server : public HttpServer {
 public:
  Server(const std::string& host, uint16_t port, std::shared_ptr<HttpSettings> settings)
      : settings_(std::move(settings)), acceptor_(context_), retry_(context_) {
    boost::system::error_code error;
    auto address = asio::ip::make_address(host == "localhost" ? "127.0.0.1" : host, error);
    tcp::endpoint endpoint(address, port);
    if (!error) acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(1024, error);
    if (error) {
      throw Error(ErrorCode::kUnavailable,
                  "cannot listen on " + host + ":" + std::to_string(port) + ": " + error.message(),
                  "Choose another address with --listen HOST:PORT; port 0 takes any free one.");
    }
  }
  ~Server() override { Stop(); }  // NOLINT(bugprone-exception-escape): it was stopped before

  uint16_t port() const override { return acceptor_.local_endpoint().port(); }
  size_t Connections() const override { return settings_->all.connections; }

  void Start(size_t threads) override {
    Accept();
    for (size_t i = 0; i < threads; i++) {
      threads_.push_back(StartLoop("http", [this] { context_.run(); }));
    }
  }

  void StopAccepting() override {
    if (settings_->stopping.exchange(true)) return;
    asio::post(context_, [this] {
      boost::system::error_code ignored;
      acceptor_.close(ignored);
      retry_.cancel();
    });
  }

  void Stop() override {
    StopAccepting();
    if (std::exchange(stopped_, true)) return;
    for (int tries = 0; tries < 100 && settings_->all.connections > 0; tries++) {
      {
        std::lock_guard lock(mutex_);
        for (auto& weak : sessions_) {
          if (auto session = weak.lock()) session->Stop();
        }
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(tries < 10 ? 5 : 50));
    }
    context_.stop();
    for (auto& thread : threads_) thread.join();
    threads_.clear();
  }

 private:
  void Accept() {
    acceptor_.async_accept(asio::make_strand(context_), [this](boost::system::error_code error,
                                                               tcp::socket socket) {
      if (settings_->stopping) return;
      if (!error) {
        auto session = std::make_shared<HttpSession>(std::move(socket), settings_);
        {
          std::lock_guard lock(mutex_);
          if (sessions_.size() > 2 * settings_->all.connections + 64) {
            std::erase_if(sessions_, [](auto& weak) { return weak.expired(); });
          }
          sessions_.push_back(session);
        }
        auto& limits = settings_->limits;
        auto of_one = std::max<size_t>(
            1, static_cast<size_t>(static_cast<double>(limits.connections) * limits.client_share));
        if (settings_->all.connections - settings_->refused > limits.connections) {
          session->StartRefusing(503, "there are too many connections");
        } else if (session->client().connections > of_one) {
          session->StartRefusing(503, "there are too many connections from your address");
        } else {
          session->Start();
        }
      }
      if (error || Crowded()) {
        AcceptLater();
      } else {
        Accept();
      }
    });
  }

  // So many are too many that even those who are told so are.
  bool Crowded() const {
    size_t limit = settings_->limits.connections;
    return settings_->all.connections >= limit + std::min(kRefusedAtOnce, limit / 4 + 1);
  }

  // Then, or when there are no more to be had, new ones wait in the system's queue.
  void AcceptLater() {
    retry_.expires_after(std::chrono::milliseconds(50));
    retry_.async_wait([this](boost::system::error_code cancelled) {
      if (cancelled || settings_->stopping) return;
      if (Crowded()) {
        AcceptLater();
      } else {
        Accept();
      }
    });
  }

  static constexpr size_t kRefusedAtOnce = 64;
  std::shared_ptr<HttpSettings> settings_;
  bool stopped_ = false;
  asio::io_context context_;
  tcp::acceptor acceptor_;
  asio::steady_timer retry_;
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::vector<std::weak_ptr<HttpSession>> sessions_;
};

}  // namespace

std::unique_ptr<HttpServer> HttpServer::Listen(const std::string& host, uint16_t port,
                                               HttpLimits limits, HttpHandler handler,
                                               HttpRefusal refusal) {
  auto settings = std::make_shared<HttpSettings>();
  settings->limits = limits;
  settings->handler = std::move(handler);
  settings->refusal = std::move(refusal);
  return std::make_unique<Server>(host, port, std::move(settings));
}

size_t RaiseOpenFiles() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return 1024;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  getrlimit(RLIMIT_NOFILE, &files);
  return static_cast<size_t>(files.rlim_cur);
}

}  // namespace weir
