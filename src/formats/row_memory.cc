#include "formats/row_memory.h"

#include <string>

#include "base/error.h"

namespace weir {

void RowMemory::Take(Hold& hold, size_t bytes) {
  if (bytes > each_max_ || hold.bytes_ > each_max_ - bytes) {
    throw Error(
        ErrorCode::kTooLarge,
        "the rows of the body take more than " + std::to_string(each_max_ >> 20) + " MiB of memory",
        "Send them in smaller parts.");
  }
  if (used_.fetch_add(bytes) + bytes > all_max_) {
    used_ -= bytes;
    throw Error(ErrorCode::kTooManyRequests, "the bodies that came in take all memory for them",
                "Try again after the time in Retry-After.");
  }
  hold.bytes_ += bytes;
}

}  // namespace weir
