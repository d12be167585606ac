#include "core/dispatch.h"

#include <gtest/gtest.h>

#include <iostream>

#include "core/error.h"

namespace ostinato {
namespace {

TEST(Dispatch, OffersTheScalarTableLastAndPrintsWhatIsSkipped) {
  ASSERT_FALSE(available_kernels().empty());
  EXPECT_STREQ(available_kernels().back()->name, "scalar");
  EXPECT_EQ(&find_kernels(""), available_kernels().front());
  for (const Kernels* kernels : available_kernels()) {
    EXPECT_EQ(&find_kernels(kernels->name), kernels);
    EXPECT_EQ(kPad % kernels->width, 0) << kernels->name;
    EXPECT_EQ(kernels->gemm_width % kernels->width, 0) << kernels->name;
    std::cout << "[   ISA    ] tested: " << kernels->name << '\n';
  }
  for (const std::string& name : unsupported_kernels()) {
    std::cout << "[   ISA    ] skipped, not supported by this CPU: " << name << '\n';
  }
}

TEST(Dispatch, RefusesNamesThatItCannotServe) {
  for (const char* name : {"sse9", "AVX2"}) {
    try {
      find_kernels(name);
      FAIL() << name;
    } catch (const Error& error) {
      EXPECT_STREQ(error.code(), "ERR_INVALID_ARGUMENT");
      const std::string message = error.what();
      EXPECT_NE(message.find(std::string("\"") + name + "\""), std::string::npos) << message;
      EXPECT_NE(message.find("scalar"), std::string::npos) << message;
      EXPECT_NE(message.find("not an instruction set"), std::string::npos) << message;
    }
  }
  for (const std::string& name : unsupported_kernels()) {
    EXPECT_THROW(find_kernels(name), Error) << name;
  }
}

}  // namespace
}  // namespace ostinato
