// What stands beside the rows in a log record: read back as it was, refused when it is damaged.
#include "ingest/meta.h"

#include <gtest/gtest.h>

#include "formats/pump_mark.h"

namespace weir {
namespace {

RecordMeta Whole() {
  RecordMeta meta;
  meta.stream = "events";
  meta.key = std::string("k\0ey", 4);
  meta.body_hash = 0xfedcba9876543210;
  meta.answer.accepted = 5;
  meta.answer.duplicates = 6;
  meta.answer.rejected_total = 700;
  meta.answer.rejected = {{3, "n", "x", "no number"}, {4, "", "", ""}};
  meta.answer.unknown_fields = {"a", "b"};
  return meta;
}

void ExpectSame(const RecordMeta& read, const RecordMeta& meta) {
  EXPECT_EQ(read.stream, meta.stream);
  EXPECT_EQ(read.key, meta.key);
  EXPECT_EQ(read.body_hash, meta.body_hash);
  EXPECT_EQ(read.answer.accepted, meta.answer.accepted);
  EXPECT_EQ(read.answer.duplicates, meta.answer.duplicates);
  EXPECT_EQ(read.answer.rejected_total, meta.answer.rejected_total);
  ASSERT_EQ(read.answer.rejected.size(), meta.answer.rejected.size());
  for (size_t i = 0; i < read.answer.rejected.size(); i++) {
    EXPECT_EQ(read.answer.rejected[i].line, meta.answer.rejected[i].line);
    EXPECT_EQ(read.answer.rejected[i].column, meta.answer.rejected[i].column);
    EXPECT_EQ(read.answer.rejected[i].value, meta.answer.rejected[i].value);
    EXPECT_EQ(read.answer.rejected[i].reason, meta.answer.rejected[i].reason);
  }
  EXPECT_EQ(read.answer.unknown_fields, meta.answer.unknown_fields);
}

TEST(RecordMeta, IsReadBackAsItWas) {
  ExpectSame(DecodeMeta(EncodeMeta(Whole())).value(), Whole());
  ExpectSame(DecodeMeta(EncodeMeta({})).value(), {});
  EXPECT_FALSE(DecodeMeta(""));
}

TEST(RecordMeta, EveryCutIsSeenButThatOfAnEarlierVersion) {
  std::string bytes = EncodeMeta(Whole());
  RecordMeta old = Whole();
  old.answer.unknown_fields.clear();
  size_t old_bytes = EncodeMeta(old).size() - sizeof(uint64_t);
  for (size_t size = 1; size < bytes.size(); size++) {
    auto cut = std::string_view(bytes).substr(0, size);
    if (size == old_bytes) {
      ExpectSame(DecodeMeta(cut).value(), old);
    } else {
      EXPECT_THROW(DecodeMeta(cut), Error) << size;
    }
  }
}

TEST(RecordMeta, NumbersThatCannotBeAreNotBelieved) {
  RecordMeta meta = Whole();
  meta.answer.rejected.resize(kErrorsOfKeyed);
  ExpectSame(DecodeMeta(EncodeMeta(meta)).value(), meta);
  // The number of refused rows follows two texts and four numbers.
  meta.answer.rejected.clear();
  std::string bytes = EncodeMeta(meta);
  size_t at = (8 + meta.stream.size()) + (8 + meta.key.size()) + 4 * 8;
  ASSERT_EQ(bytes[at], 0);
  bytes[at] = kErrorsOfKeyed + 1;
  EXPECT_THROW(DecodeMeta(bytes + std::string(10'000, '\0')), Error);
  bytes = EncodeMeta(meta);
  bytes[7] = '\x7f';  // a text of most of what there can be
  EXPECT_THROW(DecodeMeta(bytes), Error);
}

}  // namespace
}  // namespace weir
