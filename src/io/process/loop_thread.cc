#include "io/process/loop_thread.h"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <exception>

namespace weir {
namespace {

constexpr auto kPause = std::chrono::milliseconds(100);

// False: it threw.
bool Ran(const char* name, const std::function<void()>& loop) {
  try {
    loop();
    return true;
  } catch (const std::exception& error) {
    spdlog::error("{}: {}; going on", name, error.what());
  } catch (...) {
    spdlog::error("{}: failed; going on", name);
  }
  return false;
}

}  // namespace

std::thread StartLoop(const char* name, std::function<void()> loop) {
  return std::thread([name, loop = std::move(loop)] {
    pthread_setname_np(pthread_self(), name);
    while (!Ran(name, loop)) std::this_thread::sleep_for(kPause);
  });
}

}  // namespace weir
