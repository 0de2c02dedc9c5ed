// Where work is done that another thread has found due.  A thread with work of its own (the
// engine's, the log's) hands such work over and goes on.
#pragma once

#include <functional>

namespace weir {

class Executor {
 public:
  virtual ~Executor() = default;
  // Any thread; returns at once.
  virtual void Post(std::function<void()> work) = 0;
};

}  // namespace weir
