#include "ingest/dedup.h"

#include <optional>

#include "duckdb/common/types/hash.hpp"
#include "duckdb/common/types/value.hpp"

namespace weir {
namespace {

DedupWindow::Hash HashBytes(const char* data, size_t size) {
  // Two independent 64-bit hashes of the bytes.
  uint64_t low = duckdb::Hash(data, size);
  uint64_t high = 0xcbf29ce484222325ull;
  for (size_t i = 0; i < size; i++)
    high = (high ^ static_cast<unsigned char>(data[i])) * 0x100000001b3ull;
  return duckdb::hugeint_t(static_cast<int64_t>(high), low);
}

}  // namespace

std::vector<std::optional<DedupWindow::Hash>> DedupWindow::HashesOf(duckdb::Vector& column,
                                                                    duckdb::idx_t count) {
  std::vector<std::optional<Hash>> hashes(count);
  duckdb::UnifiedVectorFormat format;
  column.ToUnifiedFormat(count, format);
  auto type = column.GetType().InternalType();
  for (duckdb::idx_t i = 0; i < count; i++) {
    auto index = format.sel->get_index(i);
    if (!format.validity.RowIsValid(index)) continue;
    if (type == duckdb::PhysicalType::INT128) {
      hashes[i] = duckdb::UnifiedVectorFormat::GetDataUnsafe<duckdb::hugeint_t>(format)[index];
    } else if (type == duckdb::PhysicalType::VARCHAR) {
      auto& text = duckdb::UnifiedVectorFormat::GetDataUnsafe<duckdb::string_t>(format)[index];
      hashes[i] = HashBytes(text.GetData(), text.GetSize());
    } else if (duckdb::TypeIsConstantSize(type)) {
      auto width = duckdb::GetTypeIdSize(type);
      hashes[i] = HashBytes(reinterpret_cast<const char*>(format.data) + index * width, width);
    } else {
      std::string text = column.GetValue(i).ToString();
      hashes[i] = HashBytes(text.data(), text.size());
    }
  }
  return hashes;
}

std::vector<bool> DedupWindow::Claim(const std::vector<std::optional<Hash>>& hashes, Micros now) {
  std::vector<bool> fresh(hashes.size(), true);
  std::lock_guard lock(mutex_);
  while (!order_.empty() && order_.front().first < now - window_) {
    auto found = seen_.find(order_.front().second);
    if (found != seen_.end() && found->second == order_.front().first) seen_.erase(found);
    order_.pop_front();
  }
  for (size_t i = 0; i < hashes.size(); i++) {
    if (!hashes[i]) continue;
    auto [place, added] = seen_.try_emplace(*hashes[i], now);
    fresh[i] = added;
    if (added) order_.emplace_back(now, *hashes[i]);
  }
  return fresh;
}

void DedupWindow::TakeBack(const std::vector<std::optional<Hash>>& hashes,
                           const std::vector<bool>& claimed) {
  std::lock_guard lock(mutex_);
  for (size_t i = 0; i < hashes.size(); i++) {
    if (hashes[i] && claimed[i]) seen_.erase(*hashes[i]);
  }
}

size_t DedupWindow::size() const {
  std::lock_guard lock(mutex_);
  return seen_.size();
}

}  // namespace weir
