// A stream's past in order, for filling views: lake files first, then the log's tail.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "catalog/catalog.h"
#include "formats/columns.h"
#include "lake/files.h"
#include "log/log.h"

namespace weir {

using ScanSink = std::function<bool(const Columns& rows, Offset last)>;

// Rows of (after, up_to] in the files, which are in order.  `columns` are indexes into
// StoredNames(stream).  False when the sink wanted no more.
bool ScanFiles(Disk& disk, const LakeFiles& lake, const Stream& stream,
               const std::vector<size_t>& columns, const std::vector<PublishedFilePtr>& files,
               Offset after, Offset up_to, const ScanSink& sink);

// The same for what the log holds.  Ends by telling the sink that `up_to` is reached.
void ScanTail(std::shared_ptr<const Stream> stream, const std::vector<size_t>& columns, Log& log,
              Offset after, Offset up_to, const ScanSink& sink);

}  // namespace weir
