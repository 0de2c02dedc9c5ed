#include "views/views.h"

#include <future>

namespace weir {
namespace {

// For work that only lets a waiting thread go on.
class AtOnce : public Executor {
 public:
  void Post(std::function<void()> work) override { work(); }
};

}  // namespace

bool Views::Await(const std::string& view, Offset offset, Micros deadline) {
  static AtOnce at_once;
  auto reached = std::make_shared<std::promise<bool>>();
  auto answer = reached->get_future();
  auto done = [reached](bool is_reached) { reached->set_value(is_reached); };
  if (view.empty()) {
    WaitFor(offset, deadline, at_once, done);
  } else {
    WaitForView(view, offset, deadline, at_once, done);
  }
  return answer.get();
}

}  // namespace weir
