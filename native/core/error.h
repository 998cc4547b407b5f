// error.h — the one exception of the native part.
//
// Code, message and place travel to JavaScript, where one function makes the JS error of it (addon/errors.h).
// Nothing in native/ prints, exits or aborts.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace quire {

class Error : public std::runtime_error {
 public:
  // code: one of the codes of engine/protocol.ts ("invalid-model", "out-of-memory", "cancelled", ...).
  // message: a sentence for the user. where: the file, tensor or function it is about; may be empty.
  Error(std::string code, const std::string& message, std::string where = "")
      : std::runtime_error(message), code_(std::move(code)), where_(std::move(where)) {}
  const std::string& code() const { return code_; }
  const std::string& where() const { return where_; }

 private:
  std::string code_;
  std::string where_;
};

}  // namespace quire
