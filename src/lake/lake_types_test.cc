// Every type in every nesting is after landing, and after a merge, what it was before.
#include "lake/test_lake.h"
#include "lake/type_samples.h"

namespace weir {
namespace {

using duckdb::Value;

// Equal to the last bit that shows, the sign of a zero and which member of a union it is included.
void ExpectSame(const Value& value, const Value& expected) {
  EXPECT_EQ(value.type(), expected.type());
  EXPECT_EQ(value.IsNull(), expected.IsNull());
  EXPECT_EQ(value.ToSQLString(), expected.ToSQLString());
  EXPECT_EQ(value.ToString(), expected.ToString());
}

void ExpectRows(World& world, const Stream& stream,
                const std::vector<std::vector<Value>>& expected) {
  std::vector<size_t> all;
  for (size_t i = 0; i < stream.columns.size(); i++) all.push_back(i);
  size_t row = 0;
  world.lake->Scan(stream, all, {0}, world.log->End(), [&](const Columns& rows, Offset) {
    for (auto& chunk : rows.chunks) {
      for (duckdb::idx_t i = 0; i < chunk->size(); i++, row++) {
        for (size_t column : all) {
          SCOPED_TRACE(stream.columns[column].type.ToString() + ", row " + std::to_string(row));
          ExpectSame(chunk->GetValue(column, i), expected.at(row)[column]);
        }
      }
    }
    return true;
  });
  EXPECT_EQ(row, expected.size());
}

TEST(LakeTypes, EveryTypeInEveryNestingComesBackAsItWas) {
  auto samples = TypeSamples();
  // Streams of a few columns: what fails names itself.
  constexpr size_t kColumns = 16;
  for (size_t begin = 0; begin < samples.size(); begin += kColumns) {
    std::vector<Column> columns;
    size_t most = 0;
    size_t end = std::min(samples.size(), begin + kColumns);
    for (size_t i = begin; i < end; i++) {
      columns.push_back({"c" + std::to_string(i), samples[i].type});
      most = std::max(most, samples[i].values.size());
    }
    SCOPED_TRACE(columns[0].type.ToString());
    World world(std::make_unique<SimulatedDisk>());
    auto stream = MakeStream(2, "types", columns);
    world.Declare(stream);
    world.Open();
    std::vector<std::vector<Value>> rows;
    for (size_t row = 0; row < most; row++) {
      auto& values = rows.emplace_back();
      for (size_t i = begin; i < end; i++) values.push_back(SampleAt(samples[i], row));
    }
    auto half = rows.begin() + static_cast<ptrdiff_t>(most / 2);
    world.Append(*stream, {rows.begin(), half});
    ExpectRows(world, *stream, {rows.begin(), half});
    world.lake->LandNow();
    world.Append(*stream, {half, rows.end()});
    ExpectRows(world, *stream, rows);  // of a file, and of the log
    world.lake->LandNow();
    ExpectRows(world, *stream, rows);
    world.clock.Advance(kHour);
    world.lake->LandNow();
    EXPECT_EQ(world.lake->Info().at(0).files, 1u);
    ExpectRows(world, *stream, rows);
    EXPECT_TRUE(world.lake->Health().held.empty());
    for (auto& held : world.lake->Health().held) ADD_FAILURE() << held.why;
  }
}

}  // namespace
}  // namespace weir
