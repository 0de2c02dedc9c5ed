// Threads that go round as long as their part of the process lives: what one round fails of, for
// want of memory as a rule, costs that round and not the process.
#pragma once

#include <functional>
#include <thread>

namespace weir {

// Runs `loop` on a thread of that name (of which the system shows 15 characters), and again a
// moment after it has thrown, until it returns.
std::thread StartLoop(const char* name, std::function<void()> loop);

}  // namespace weir
