#include "core/dataset.h"

#include <gtest/gtest.h>

#include "test/core_problem.h"

namespace ostinato::test {
namespace {

const ValueShape kTokens{1, true, true};

// Three windows over one text; labels are the next characters.
Dataset text_windows() {
  Dataset data;
  data.tokens = true;
  data.features = 1;
  data.input_tokens = {0, 1, 2, 3, 4, 5, 6, 7};
  data.input_offset = {0, 2, 4};
  data.length = {3, 3, 3};
  data.target_kind = Dataset::TargetKind::kLabels;
  data.target_timed = true;
  data.targets_are_inputs = true;
  data.target_offset = {1, 3, 5};
  return data;
}

TEST(Dataset, AcceptsWhatFits) {
  EXPECT_NO_THROW(text_windows().validate(kTokens, 8, {8, true, false}));
}

TEST(Dataset, NamesTheTokenThatIsOutOfRange) {
  Dataset data = text_windows();
  data.input_tokens[5] = 99;
  EXPECT_EQ(message_of("ERR_INVALID_ARGUMENT",
                       [&] {
                         data.validate(kTokens, 65, {65, true, false});
                       }),
            "Expected a token id in [0, 65) at sample 2, step 1 but received 99");
  data.input_tokens[5] = -1;
  EXPECT_EQ(message_of("ERR_INVALID_ARGUMENT",
                       [&] {
                         data.validate(kTokens, 65, {65, true, false});
                       }),
            "Expected a token id in [0, 65) at sample 2, step 1 but received -1");
}

TEST(Dataset, NamesTheLabelThatIsOutOfRangeUnlessItIsMasked) {
  Dataset data = text_windows();
  data.targets_are_inputs = false;
  data.target_labels = {0, 0, 0, 0, 0, 4, 0, 0, 0};
  data.target_offset = {0, 3, 6};
  EXPECT_EQ(message_of("ERR_INVALID_ARGUMENT",
                       [&] {
                         data.validate(kTokens, 8, {4, true, false});
                       }),
            "Expected a label in [0, 4) at sample 1, step 2 but received 4");
  data.mask.assign(9, 1.0f);
  data.mask[5] = 0.0f;
  EXPECT_NO_THROW(data.validate(kTokens, 8, {4, true, false}));
  Batch batch;
  const int32_t samples[] = {1};
  batch.assemble(data, samples, 1, true);
  EXPECT_EQ(batch.targets().labels[2], 0) << "whatever stood there";
  EXPECT_EQ(batch.targets().mask[2], 0.0f);
}

TEST(Dataset, IsOverwrittenWithinItsStorage) {
  Dataset data = text_windows();
  const auto write = [&](int64_t sample, const std::vector<int32_t>& ids) {
    data.write_tokens(0, sample, ids, 8);
  };
  message_of("ERR_SHAPE_MISMATCH", [&] { write(1, {7}); });  // labels are read from them
  data.targets_are_inputs = false;
  write(1, {7, 6});
  EXPECT_EQ(data.input_tokens, (std::vector<int32_t>{0, 1, 7, 6, 4, 5, 6, 7}));
  message_of("ERR_SHAPE_MISMATCH", [&] { write(2, {1, 1, 1, 1, 1}); });
  message_of("ERR_INVALID_ARGUMENT", [&] { write(0, {1, 8}); });
  message_of("ERR_INVALID_ARGUMENT", [&] { write(0, {-1}); });
  EXPECT_EQ(data.input_tokens[0], 0);
  InputData& more = data.more_inputs.emplace_back();
  more.features = 2;
  more.input_floats.assign(6, 0.0f);
  more.input_offset = {0, 1, 2};
  data.write_floats(1, 1, {1, 2, 3});
  EXPECT_EQ(more.input_floats, (FloatStorage{0, 0, 1, 2, 3, 0}));
  message_of("ERR_SHAPE_MISMATCH", [&] { data.write_floats(1, 2, {1, 2, 3}); });
}

TEST(Dataset, RefusesWindowsOutsideTheStorage) {
  for (const int64_t offset : {int64_t{6}, int64_t{-1}, INT64_MAX}) {
    Dataset data = text_windows();
    data.input_offset[1] = offset;
    const std::string message = message_of("ERR_SHAPE_MISMATCH", [&] {
      data.validate(kTokens, 8, {8, true, false});
    });
    EXPECT_NE(message.find("inputs of sample 1 inside 8 rows"), std::string::npos) << message;
  }
  Dataset data = text_windows();
  data.target_offset[2] = 6;
  const std::string message = message_of("ERR_SHAPE_MISMATCH", [&] {
    data.validate(kTokens, 8, {8, true, false});
  });
  EXPECT_NE(message.find("targets of sample 2"), std::string::npos) << message;
}

TEST(Dataset, RefusesOtherShapes) {
  const auto refuses = [](const Dataset& data, const ValueShape& input, const ValueShape& output) {
    message_of("ERR_SHAPE_MISMATCH", [&] { data.validate(input, 8, output); });
  };
  refuses(text_windows(), {1, true, false}, {8, true, false});   // features wanted
  refuses(text_windows(), kTokens, {8, false, false});           // one target a sample wanted
  refuses(text_windows(), {1, false, true}, {8, false, false});  // no steps wanted
  Dataset data = text_windows();
  data.length[0] = -1;
  refuses(data, kTokens, {8, true, false});
  data = text_windows();
  data.weights = {1, 1};
  refuses(data, kTokens, {8, true, false});
  data = text_windows();
  data.target_offset.pop_back();
  refuses(data, kTokens, {8, true, false});
  data = text_windows();
  data.tokens = false;
  data.features = 2;
  data.input_floats.assign(16, 0.0f);
  refuses(data, {3, true, false}, {8, true, false});
  refuses(data, {2, true, false}, {8, true, false});  // features cannot be labels
  data.target_kind = Dataset::TargetKind::kDense;
  data.target_features = 5;
  refuses(data, {2, true, false}, {8, true, false});
}

TEST(Batch, GathersRaggedSamplesTimeMajorAndSorted) {
  Dataset data;
  data.features = 2;
  data.input_floats = {1, 1, 2, 2, 3, 3, 4, 4, 5, 5};
  data.input_offset = {0, 3, 5};
  data.length = {3, 2, 0};
  data.target_kind = Dataset::TargetKind::kDense;
  data.target_timed = true;
  data.target_features = 1;
  data.target_floats = {10, 20, 30, 40, 50};
  data.target_offset = {0, 3, 5};
  data.weights = {0.1f, 0.2f, 0.3f, 0.4f, 0.5f};
  data.validate({2, true, false}, 0, {1, true, false});
  Batch batch;
  const int32_t samples[] = {2, 1, 0};
  batch.assemble(data, samples, 3, true);
  EXPECT_EQ(batch.geometry().rows(), 5);
  EXPECT_EQ(batch.geometry().batch_row(0), 2);
  EXPECT_EQ(vector_of(batch.input().floats), (reference::Vector{1, 1, 4, 4, 2, 2, 5, 5, 3, 3}));
  EXPECT_EQ(vector_of(batch.targets().dense), (reference::Vector{10, 40, 20, 50, 30}));
  EXPECT_EQ(std::vector<float>(batch.targets().weights, batch.targets().weights + 5),
            (std::vector<float>{0.1f, 0.4f, 0.2f, 0.5f, 0.3f}));
  EXPECT_EQ(batch.targets().mask, nullptr);
}

TEST(Batch, TargetsOfWholeSamplesFollowTheSortedRows) {
  Dataset data = text_windows();
  data.length = {1, 3, 2};
  data.targets_are_inputs = false;
  data.target_timed = false;
  data.target_labels = {5, 6, 7};
  data.target_offset = {0, 1, 2};
  data.mask = {1, 0, 1};
  data.validate(kTokens, 8, {8, false, false});
  Batch batch;
  const int32_t samples[] = {0, 1, 2};
  batch.assemble(data, samples, 3, false);
  EXPECT_EQ(std::vector<int32_t>(batch.targets().labels, batch.targets().labels + 3),
            (std::vector<int32_t>{0, 7, 5}));  // the first is masked
  EXPECT_EQ(std::vector<float>(batch.targets().mask, batch.targets().mask + 3),
            (std::vector<float>{0, 1, 1}));
  EXPECT_EQ(std::vector<int32_t>(batch.input().tokens, batch.input().tokens + 6),
            (std::vector<int32_t>{2, 4, 0, 3, 5, 4}));
}

TEST(Batch, MaskedDenseTargetsAreZeros) {
  Dataset data;
  data.features = 1;
  data.input_floats = {1, 2};
  data.input_offset = {0, 1};
  data.length = {1, 1};
  data.target_kind = Dataset::TargetKind::kDense;
  data.target_features = 1;
  data.target_floats = {NAN, 3};
  data.target_offset = {0, 1};
  data.mask = {0, 1};
  Batch batch;
  const int32_t samples[] = {0, 1};
  batch.assemble(data, samples, 2, false);
  EXPECT_EQ(vector_of(batch.targets().dense), (reference::Vector{0, 3}));
}

TEST(Batch, ASingleSampleOfWholeRowsIsNotCopied) {
  for (const int64_t features : {16, 3}) {
    Dataset data;
    data.features = features;
    for (int64_t i = 0; i < 5 * features; ++i) data.input_floats.push_back(static_cast<float>(i));
    data.input_offset = {0, 2};
    data.length = {2, 3};
    const int32_t second = 1;
    Batch batch;
    batch.assemble_inputs(data, &second, 1);
    const Matrix& x = batch.input().floats;
    EXPECT_EQ(batch.geometry().rows(), 3);
    EXPECT_EQ(x.rows, 3);
    EXPECT_EQ(x.data == data.input_floats.data() + 2 * features, features == 16);
    for (int64_t t = 0; t < 3; ++t) {
      EXPECT_EQ(x.row(t)[1], static_cast<float>((t + 2) * features + 1));
    }
  }
}

TEST(Batch, ThreadsShareALargeBatch) {
  constexpr int64_t kSamples = 7, kSteps = 1000, kFeatures = 19;
  Dataset data;
  data.features = kFeatures;
  std::vector<int32_t> samples;
  for (int64_t i = 0; i < kSamples * kSteps * kFeatures; ++i) {
    data.input_floats.push_back(static_cast<float>(i));
  }
  for (int32_t i = 0; i < kSamples; ++i) {
    data.input_offset.push_back(i * kSteps);
    data.length.push_back(static_cast<int32_t>(kSteps - 100 * i));
    samples.push_back(kSamples - 1 - i);
  }
  Batch one, three;
  one.assemble_inputs(data, samples.data(), kSamples);
  three.assemble_inputs(data, samples.data(), kSamples, 3);
  EXPECT_EQ(three.input().rows, kSamples * kSteps - 100 * 21);
  EXPECT_EQ(vector_of(three.input().floats), vector_of(one.input().floats));
}

TEST(Batch, InputsAloneLeaveNoTargets) {
  Batch batch;
  const int32_t samples[] = {0, 1};
  batch.assemble(text_windows(), samples, 2, true);
  EXPECT_NE(batch.targets().labels, nullptr);
  batch.assemble_inputs(text_windows(), samples, 2);
  EXPECT_EQ(batch.targets().labels, nullptr);
  EXPECT_EQ(batch.input().rows, 6);
}

}  // namespace
}  // namespace ostinato::test
