// History is decoded ahead of whoever takes it: files on a thread of their own, which holds a few
// pieces ready.  Decoding costs more than most views do, and there is another core for it.
#pragma once

#include <functional>

#include "base/ids.h"
#include "formats/columns.h"

namespace weir {

using PieceSink = std::function<bool(Columns&& rows, Offset last)>;

// Runs `produce` on another thread and calls `sink` on this one with what it says, in order.
// Returns what `produce` returned; throws what either throws.  When the sink wants no more (or
// throws), the producer's next call says so.
bool ReadAhead(const std::function<bool(const PieceSink&)>& produce, const PieceSink& sink);

}  // namespace weir
