#include "formats/decompress.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <memory>

#include "base/error.h"

namespace weir {
namespace {

constexpr size_t kPiece = 256 << 10;

[[noreturn]] void Bad(const char* format, const char* what) {
  throw Error(ErrorCode::kInvalidData, std::string("the body is not valid ") + format + ": " + what,
              "Check Content-Encoding and that the body was sent whole.");
}

// Grows the output piece by piece and refuses to grow too far.
class Output {
 public:
  Output(size_t bytes_max, RowMemory::Hold* memory) : bytes_max_(bytes_max), memory_(memory) {}

  char* Room(size_t& size) {
    size = kPiece;
    if (used_ + kPiece > bytes_.capacity()) {
      size_t grown = std::max(2 * bytes_.capacity(), used_ + kPiece);
      if (memory_) memory_->Add(grown - bytes_.capacity());
      bytes_.reserve(grown);
    }
    bytes_.resize(used_ + kPiece);
    return bytes_.data() + used_;
  }
  void Used(size_t size) {
    used_ += size;
    if (used_ > bytes_max_) {
      throw Error(ErrorCode::kTooLarge, "the body is too large once decompressed",
                  "Send it in smaller parts.");
    }
  }
  std::string Take() {
    bytes_.resize(used_);
    return std::move(bytes_);
  }

 private:
  size_t bytes_max_;
  RowMemory::Hold* memory_;
  std::string bytes_;
  size_t used_ = 0;
};

std::string Gunzip(std::string_view bytes, size_t bytes_max, RowMemory::Hold* memory) {
  Output output(bytes_max, memory);
  z_stream stream{};
  if (inflateInit2(&stream, 15 + 16) != Z_OK) throw std::bad_alloc();
  std::unique_ptr<z_stream, decltype(&inflateEnd)> end(&stream, inflateEnd);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  while (true) {
    size_t room;
    stream.next_out = reinterpret_cast<Bytef*>(output.Room(room));
    stream.avail_out = static_cast<uInt>(room);
    int result = inflate(&stream, Z_NO_FLUSH);
    output.Used(room - stream.avail_out);
    if (result == Z_STREAM_END) {
      if (stream.avail_in == 0) return output.Take();
      if (inflateReset(&stream) != Z_OK) Bad("gzip", "trailing bytes");  // the next member
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      Bad("gzip", stream.msg ? stream.msg : "damaged");
    } else if (stream.avail_in == 0 && stream.avail_out > 0) {
      Bad("gzip", "it ends too early");
    }
  }
}

std::string Unzstd(std::string_view bytes, size_t bytes_max, RowMemory::Hold* memory) {
  Output output(bytes_max, memory);
  std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(), ZSTD_freeDCtx);
  ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, 27);
  ZSTD_inBuffer input{bytes.data(), bytes.size(), 0};
  size_t result = 1;
  bool full = true;
  while (input.pos < input.size || full) {
    size_t room;
    char* to = output.Room(room);
    ZSTD_outBuffer out{to, room, 0};
    result = ZSTD_decompressStream(context.get(), &out, &input);
    if (ZSTD_isError(result)) Bad("zstd", ZSTD_getErrorName(result));
    output.Used(out.pos);
    full = out.pos == room;
  }
  if (result != 0 || bytes.empty()) Bad("zstd", "it ends too early");
  return output.Take();
}

}  // namespace

std::string Decompress(Compression compression, std::string_view bytes, size_t bytes_max,
                       RowMemory::Hold* memory) {
  return compression == Compression::kGzip ? Gunzip(bytes, bytes_max, memory)
                                           : Unzstd(bytes, bytes_max, memory);
}

std::string Gzip(std::string_view bytes) {
  z_stream stream{};
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) !=
      Z_OK) {
    throw std::bad_alloc();
  }
  std::string out(deflateBound(&stream, static_cast<uLong>(bytes.size())), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

}  // namespace weir
