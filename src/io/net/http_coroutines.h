// How the sessions' coroutines wait: an error is a value, not an exception.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace weir {

inline constexpr auto kHttpUse = boost::asio::as_tuple(boost::asio::use_awaitable);

}  // namespace weir
