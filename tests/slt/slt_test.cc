// Each *.slt file beside this one is a test.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "script.h"

namespace weir {
namespace {

class SqlText : public testing::TestWithParam<std::string> {};

TEST_P(SqlText, Holds) { EXPECT_EQ(RunScript(GetParam()), ""); }

std::vector<std::string> Scripts() {
  std::vector<std::string> paths;
  for (auto& entry : std::filesystem::recursive_directory_iterator(WEIR_SLT_FOLDER)) {
    if (entry.path().extension() == ".slt") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::string NameOf(const testing::TestParamInfo<std::string>& info) {
  return std::filesystem::path(info.param).stem();
}

INSTANTIATE_TEST_SUITE_P(Files, SqlText, testing::ValuesIn(Scripts()), NameOf);

}  // namespace
}  // namespace weir
