#include "app/delivery.h"

#include <chrono>
#include <thread>

#include "app/api_client.h"
#include "base/error.h"
#include "io/net/url.h"

namespace weir {

Delivery::Delivery(const std::string& url, const std::string& stream, std::string content_type)
    : client_(url),
      target_("/v1/streams/" + EncodeUrl(stream) + "/events"),
      content_type_(std::move(content_type)) {}

Delivered Delivery::Send(const std::string& key, std::string_view body) {
  using namespace duckdb_yyjson;  // NOLINT: a C library in a namespace
  constexpr int kTriesMax = 40;
  for (int tries = 0;; tries++) {
    try {
      auto answer = client_.Request(
          "POST", target_, {{"Content-Type", content_type_}, {"Idempotency-Key", key}}, body);
      bool later = answer.status == 429 || answer.status == 503;
      if (!later || tries >= kTriesMax) {
        CheckAnswer(answer);
        auto document = ParseJson(answer.body);
        auto* root = yyjson_doc_get_root(document.get());
        Delivered delivered;
        delivered.accepted = JsonNumber(root, "accepted");
        delivered.duplicates = JsonNumber(root, "duplicates");
        auto* rejected = yyjson_obj_get(root, "rejected");
        delivered.rejected =
            std::max<uint64_t>(JsonNumber(root, "rejected_total"), yyjson_arr_size(rejected));
        size_t index, count;
        yyjson_val* row;
        yyjson_arr_foreach(rejected, index, count, row) {
          std::string column = JsonText(row, "column"), value = JsonText(row, "value");
          std::string reason = column.empty() ? "" : column + " ";
          if (!value.empty()) reason += "\"" + value + "\" ";
          delivered.refused.push_back({JsonNumber(row, "line"), reason + JsonText(row, "reason")});
        }
        return delivered;
      }
    } catch (const Error& error) {
      if (error.code != ErrorCode::kUnavailable || tries >= kTriesMax) throw;
    }
    std::this_thread::sleep_for(
        std::chrono::milliseconds(std::min(50 << std::min(tries, 5), 1500)));
  }
}

}  // namespace weir
