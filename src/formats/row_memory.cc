#include "formats/row_memory.h"

#include <string>

#include "base/error.h"

namespace weir {

void RowMemory::Hold::Take(size_t bytes) {
  if (bytes > counts_->each_max || bytes_ > counts_->each_max - bytes) {
    throw Error(ErrorCode::kTooLarge,
                "the rows of the body take more than " + std::to_string(counts_->each_max >> 20) +
                    " MiB of memory",
                "Send them in smaller parts.");
  }
  if (counts_->used.fetch_add(bytes) + bytes > counts_->all_max) {
    counts_->used -= bytes;
    throw Error(ErrorCode::kTooManyRequests, "the bodies that came in take all memory for them",
                "Try again after the time in Retry-After.");
  }
  bytes_ += bytes;
}

}  // namespace weir
