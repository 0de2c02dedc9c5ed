#include "lake/sealed_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <vector>

#include "base/crc32c.h"
#include "base/error.h"

namespace weir {
namespace {

constexpr uint64_t kBlock = 64 << 10;
constexpr std::string_view kMagic = "WEIRSUMS";
constexpr std::string_view kParquetMagic = "PAR1";
constexpr uint64_t kFooterEnd = 8;  // the footer's length and "PAR1"
constexpr uint64_t kTrailer = 32;   // magic, data bytes, block bytes, blocks, 8 bytes for later

[[noreturn]] void Damaged(const ParquetFile& file, const std::string& reason) {
  throw LakeFileDamaged(file.path, file.name, reason);
}

void PutU32(std::string& out, uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>(value >> shift);
}

void PutU64(std::string& out, uint64_t value) {
  PutU32(out, static_cast<uint32_t>(value));
  PutU32(out, static_cast<uint32_t>(value >> 32));
}

uint32_t U32(const char* bytes) {
  uint32_t value = 0;
  for (int i = 3; i >= 0; i--) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

uint64_t U64(const char* bytes) { return U32(bytes) | uint64_t{U32(bytes + 4)} << 32; }

void ReadWhole(File& file, uint64_t position, std::span<char> buffer, const ParquetFile& name) {
  size_t done = 0;
  while (done < buffer.size()) {
    size_t got = file.Read(position + done, buffer.subspan(done));
    if (got == 0) Damaged(name, "it is cut short");
    done += got;
  }
}

std::string ReadString(File& file, uint64_t position, uint64_t size, const ParquetFile& name) {
  std::string bytes(size, '\0');
  ReadWhole(file, position, bytes, name);
  return bytes;
}

// Where the footer of a file of so many bytes begins.
uint64_t FooterStart(uint64_t bytes, std::string_view last, const ParquetFile& name) {
  if (last.size() < kFooterEnd || last.substr(last.size() - 4) != kParquetMagic) {
    Damaged(name, "it does not end as Parquet does");
  }
  uint64_t footer = uint64_t{U32(last.data() + last.size() - kFooterEnd)} + kFooterEnd;
  if (footer > bytes) Damaged(name, "its footer is longer than the file");
  return bytes - footer;
}

class SealedFile : public File {
 public:
  SealedFile(std::unique_ptr<File> file, ParquetFile name)
      : file_(std::move(file)), name_(std::move(name)), bytes_(name_.seal->bytes) {
    uint64_t size = file_->Size();
    if (size != bytes_) {
      Damaged(name_, fmt::format("it has {} bytes and should have {}", size, bytes_));
    }
    uint64_t guess = std::min<uint64_t>(size, kBlock);
    end_ = ReadString(*file_, size - guess, guess, name_);
    uint64_t footer = FooterStart(size, end_, name_);
    if (footer < kTrailer) Damaged(name_, "it has no checksums");
    Extend(footer - kTrailer);
    std::string_view trailer = std::string_view(end_).substr(footer - kTrailer - data_, kTrailer);
    if (trailer.substr(0, kMagic.size()) != kMagic) Damaged(name_, "it has no checksums");
    uint64_t data = U64(trailer.data() + 8);
    uint64_t blocks = U32(trailer.data() + 20);
    if (U32(trailer.data() + 16) != kBlock || blocks != (data + kBlock - 1) / kBlock ||
        data + blocks * 4 + kTrailer != footer) {
      Damaged(name_, "its checksums do not fit it");
    }
    Extend(data);
    end_.erase(0, data - data_);
    data_ = data;
    if (Crc32c(end_) != name_.seal->crc) {
      Damaged(name_, fmt::format("bytes {} to {} do not match their checksum", data_, size - 1));
    }
    for (uint64_t i = 0; i < blocks; i++) sums_.push_back(U32(end_.data() + i * 4));
    CHECK(data_ + end_.size() == bytes_);
  }

  size_t Read(uint64_t position, std::span<char> buffer) override {
    if (position >= bytes_) return 0;
    buffer = buffer.first(std::min<uint64_t>(buffer.size(), bytes_ - position));
    for (uint64_t done = 0; done < buffer.size();) {
      done += ReadSome(position + done, buffer.subspan(done));
    }
    return buffer.size();
  }

  uint64_t Size() override { return bytes_; }
  void Write(uint64_t, std::string_view) override { AssertReadOnly(); }
  void Sync() override { AssertReadOnly(); }
  void Truncate(uint64_t) override { AssertReadOnly(); }
  void Allocate(uint64_t) override { AssertReadOnly(); }
  void DropCached() override { file_->DropCached(); }

 private:
  static void AssertReadOnly() { ASSERT(!"a sealed file is written"); }

  // Makes end_ begin at `position` or before.
  void Extend(uint64_t position) {
    data_ = bytes_ - end_.size();
    if (position >= data_) return;
    end_ = ReadString(*file_, position, data_ - position, name_) + end_;
    data_ = position;
  }

  uint64_t BlockEnd(uint64_t block) const { return std::min((block + 1) * kBlock, data_); }

  void Check(uint64_t block, std::string_view bytes) const {
    if (Crc32c(bytes) == sums_[block]) return;
    Damaged(name_, fmt::format("bytes {} to {} do not match their checksum", block * kBlock,
                               BlockEnd(block) - 1));
  }

  // At least one byte of the buffer: of what stands in memory, of many blocks, or of one.
  uint64_t ReadSome(uint64_t position, std::span<char> buffer) {
    if (position >= data_) {
      std::memcpy(buffer.data(), end_.data() + (position - data_), buffer.size());
      return buffer.size();
    }
    uint64_t block = position / kBlock;
    CHECK(block < sums_.size());
    uint64_t begin = block * kBlock;
    if (position == begin && buffer.size() >= BlockEnd(block) - begin) {
      uint64_t last = block;
      while (last + 1 < sums_.size() && BlockEnd(last + 1) - begin <= buffer.size()) last++;
      uint64_t size = BlockEnd(last) - begin;
      ReadWhole(*file_, begin, buffer.first(size), name_);
      for (uint64_t i = block; i <= last; i++) {
        Check(i, {buffer.data() + (i * kBlock - begin), BlockEnd(i) - i * kBlock});
      }
      return size;
    }
    // A part of a block is often followed by the next part of it.
    std::lock_guard lock(mutex_);
    if (kept_block_ != block || kept_.empty()) {
      kept_.clear();
      std::string bytes = ReadString(*file_, begin, BlockEnd(block) - begin, name_);
      Check(block, bytes);
      kept_ = std::move(bytes);
      kept_block_ = block;
    }
    uint64_t size = std::min<uint64_t>(buffer.size(), BlockEnd(block) - position);
    std::memcpy(buffer.data(), kept_.data() + (position - begin), size);
    return size;
  }

  const std::unique_ptr<File> file_;
  const ParquetFile name_;
  const uint64_t bytes_;
  uint64_t data_ = 0;           // so many bytes are data
  std::string end_;             // all that follows it
  std::vector<uint32_t> sums_;  // of each block of the data
  std::mutex mutex_;
  uint64_t kept_block_ = 0;
  std::string kept_;
};

}  // namespace

LakeFileDamaged::LakeFileDamaged(std::string path, const std::string& file, std::string reason)
    : Error(ErrorCode::kCorruption, fmt::format("lake file {} is damaged: {}", file, reason),
            "Put back the file from a backup; nothing else needs to be done."),
      path(std::move(path)),
      reason(std::move(reason)) {}

Seal SealFile(File& file, const std::string& path) {
  ParquetFile name{path, "\"" + path + "\"", {}};
  uint64_t size = file.Size();
  uint64_t guess = std::min<uint64_t>(size, kFooterEnd);
  uint64_t data = FooterStart(size, ReadString(file, size - guess, guess, name), name);
  std::string end;
  uint32_t blocks = 0;
  for (uint64_t begin = 0; begin < data; begin += kBlock, blocks++) {
    PutU32(end, Crc32c(ReadString(file, begin, std::min(kBlock, data - begin), name)));
  }
  // As OpenSealed wants it.
  ASSERT(blocks == (data + kBlock - 1) / kBlock && end.size() == uint64_t{blocks} * 4);
  end += kMagic;
  PutU64(end, data);
  PutU32(end, static_cast<uint32_t>(kBlock));
  PutU32(end, blocks);
  PutU64(end, 0);
  ASSERT(end.size() == uint64_t{blocks} * 4 + kTrailer);
  end += ReadString(file, data, size - data, name);
  file.Write(data, end);
  return {data + end.size(), Crc32c(end)};
}

std::unique_ptr<File> OpenSealed(Disk& disk, const ParquetFile& file) {
  if (!disk.Exists(file.path)) Damaged(file, "it is missing");
  auto opened = disk.Open(file.path, OpenMode::kRead);
  if (!file.seal) return opened;
  return std::make_unique<SealedFile>(std::move(opened), file);
}

}  // namespace weir
