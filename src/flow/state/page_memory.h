// Where row stores get their pages.  An owner above may put pages into a file when memory gets
// short: their addresses and contents stay what they are, so nobody who reads them notices.
#pragma once

#include <cstddef>

namespace weir {

// Any thread; a page belongs to the thread that steps its operator.
class PageMemory {
 public:
  virtual ~PageMemory() = default;
  virtual std::byte* Allocate(size_t bytes) = 0;
  virtual void Free(std::byte* page, size_t bytes, bool in_file) = 0;
  // True when pages should go to the file.
  virtual bool IsShort() const = 0;
  // False when there is no file, or no room in it: the page stays where it is.
  virtual bool MoveToFile(std::byte* page, size_t bytes) = 0;
};

}  // namespace weir
