// For a line about an error at the root of a thread, where nothing may be thrown any more.
#pragma once

#include <string>

#include "duck/errors.h"

namespace weir {

// In a catch block.
inline std::string WhatIsThrown() noexcept {
  try {
    return CurrentError().message;
  } catch (...) {
    return "out of memory";  // short enough to need none
  }
}

}  // namespace weir
