// One piece of the log becomes Parquet files: read, split by stream and hour, written, published.
#pragma once

#include "catalog/catalog.h"
#include "lake/files.h"
#include "lake/lake.h"
#include "lake/parquet.h"
#include "log/log.h"

namespace weir {

// Lands the log from where the lake ends, at most one file's worth of rows or bytes and nothing
// beyond `up_to`.  Returns the position reached; everything up to it is published.
Offset LandOnce(Disk& disk, const CatalogState& catalog, Log& log, LakeFiles& files,
                Parquet& parquet, const LakeOptions& options, Offset up_to);

// Replaces files by one with the same rows.
void MergeFiles(Disk& disk, LakeFiles& files, Parquet& parquet, std::vector<PublishedFilePtr> run);

}  // namespace weir
