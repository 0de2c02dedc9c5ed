#include "io/process/deep_thread.h"

#include <signal.h>

#include <cstring>
#include <exception>
#include <memory>
#include <utility>

#include "base/error.h"

namespace weir {
namespace {

// A handler of a stack that overflowed needs another one.
class AlternateStack {
 public:
  AlternateStack() {
    stack_t stack{};
    stack.ss_sp = memory_.get();
    stack.ss_size = kBytes;
    sigaltstack(&stack, nullptr);
  }
  ~AlternateStack() {
    stack_t none{};
    none.ss_flags = SS_DISABLE;
    sigaltstack(&none, nullptr);
  }

 private:
  static constexpr size_t kBytes = 64 << 10;
  std::unique_ptr<char[]> memory_{new char[kBytes]};
};

void* Start(void* run) {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they set their own
  AlternateStack stack;
#endif
  std::unique_ptr<std::function<void()>> work(static_cast<std::function<void()>*>(run));
  (*work)();
  return nullptr;
}

}  // namespace

DeepThread::DeepThread(std::function<void()> run, size_t stack_bytes) {
  auto work = std::make_unique<std::function<void()>>(std::move(run));
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, stack_bytes);
  int error = pthread_create(&thread_, &attributes, Start, work.get());
  pthread_attr_destroy(&attributes);
  if (error != 0) {
    throw Error(ErrorCode::kUnavailable,
                std::string("cannot start a thread: ") + std::strerror(error));
  }
  (void)work.release();  // the thread has it
  running_ = true;
}

DeepThread::DeepThread(DeepThread&& other) noexcept
    : thread_(other.thread_), running_(std::exchange(other.running_, false)) {}

DeepThread& DeepThread::operator=(DeepThread&& other) noexcept {
  if (running_) std::terminate();
  thread_ = other.thread_;
  running_ = std::exchange(other.running_, false);
  return *this;
}

DeepThread::~DeepThread() {
  if (running_) std::terminate();  // as std::thread
}

void DeepThread::join() {
  pthread_join(thread_, nullptr);
  running_ = false;
}

void OnDeepStack(const std::function<void()>& work, size_t stack_bytes) {
  std::exception_ptr error;
  DeepThread thread(
      [&] {
        try {
          work();
        } catch (...) {
          error = std::current_exception();
        }
      },
      stack_bytes);
  thread.join();
  if (error) std::rethrow_exception(error);
}

}  // namespace weir
