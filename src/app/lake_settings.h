// How the log's events become Parquet, as weir.toml may say.
#pragma once

#include "app/project.h"
#include "lake/lake.h"
#include "log/log.h"

namespace weir {

// Throws Error(kInvalidRequest) that names the setting.
void ApplyLakeSettings(const ProjectSettings& settings, LogOptions& log, LakeOptions& lake);

}  // namespace weir
