// Pages of a mapped file that cannot be read any more: the disk failed, or the file was cut short.
//
// The machine tells by SIGBUS, in the middle of whatever instruction touched the page.  Where the
// page is of a block that is watched, zeros take the block's place for good, the thread goes on
// with them, and the block counts as lost: who keeps data there looks at PagesLost before it
// believes what it read.  So data in such blocks must be such that zeros do no harm for so long:
// numbers and lengths, no addresses.  A SIGBUS from elsewhere ends the process as ever.
//
// Any thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace weir {

// At most so many blocks are watched together.
inline constexpr size_t kBlocksWatchedMax = 64;

// Blocks of `block` bytes from `begin` on are watched until they are forgotten.
// REQUIRES: whole blocks, none of which is watched.
void WatchPages(std::byte* begin, size_t bytes, size_t block);
// REQUIRES: where a watch begins, or what is not watched at all.  Before the memory is given back.
void ForgetPages(std::byte* begin);

// Of all blocks, since the process began.  A look costs nothing.
uint64_t PagesLost();
// Of the block of this address, since it was watched or taken as new.
bool IsPageLost(const std::byte* address);
void TakePageAsNew(const std::byte* address);

}  // namespace weir
