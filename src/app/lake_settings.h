// How the log's events become Parquet, as weir.toml may say.
#pragma once

#include "app/project.h"
#include "lake/lake.h"
#include "log/log.h"

namespace weir {

// Throws Error(kInvalidRequest) that names the setting.
void ApplyLakeSettings(const ProjectSettings& settings, LogOptions& log, LakeOptions& lake);

// How much of a disk the log leaves to landing, which makes room on it.
uint64_t KeptForLanding(const LakeOptions& lake, uint64_t disk_bytes);

}  // namespace weir
