// A project folder: *.sql files that say which streams and views there are, and optionally
// weir.toml.  It is the truth for what it names.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "catalog/catalog.h"
#include "sql/statement.h"
#include "views/views.h"

namespace weir {

struct ProjectSettings {
  std::string listen;  // "" when not said
  std::string data;
  std::string time_zone;
  std::string memory_limit;  // as BytesFrom reads it
  std::string spill_limit;
  // How the log's events become Parquet: app/lake_settings.h.
  std::string landing_interval, landing_rows, segment_size, scrub_rate;
  std::string hosts;       // as OriginRules::ReadHosts reads it
  std::string step_limit;  // seconds
};

struct Project {
  std::string folder;
  ProjectSettings settings;
  std::vector<Statement> statements;
  std::vector<std::string> files;            // of each statement
  std::map<std::string, std::string> texts;  // of each file
  std::vector<WrongStatement> wrong;         // what does not parse
};

// The folder of a project whose files tables are read from.
std::string ReferenceFolderOf(const std::string& project);

// Throws one Error that tells of everything that does not parse, with file, line and column.
Project LoadProject(const std::string& folder);

// Makes the catalog say what the project says: new things come, changed views are made anew, what
// came from the project and is gone goes.  Things made through SQL stay.  Returns what was done,
// one line each.  Throws before anything changed when the project is wrong, and when a stream, a
// table or a pump would go that has no successor, unless that is allowed: views come back when
// their file does, those do not.
std::vector<std::string> ApplyProject(const Project& project, Catalog& catalog, Views& views,
                                      bool allow_drop = false);

}  // namespace weir
