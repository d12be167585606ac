// Cells as text, for tests.
#pragma once

namespace ostinato::test {

inline constexpr const char* kElmanText = "cell elman; gates a; states h; #0 = tanh(sum.a); h = #0";

inline constexpr const char* kGruText =
    "cell gru; gates r z n; states h;"
    "#0 = sigmoid(sum.z); #1 = sub(1, #0); #2 = sigmoid(sum.r); #3 = mul(#2, recurrent.n);"
    "#4 = add(input.n, #3); #5 = tanh(#4); #6 = mul(#1, #5); #7 = mul(#0, state.h);"
    "#8 = add(#6, #7); h = #8";

inline constexpr const char* kLstmText =
    "cell lstm; gates i f g o; states h c;"
    "#0 = sigmoid(sum.f); #1 = mul(#0, state.c); #2 = sigmoid(sum.i); #3 = tanh(sum.g);"
    "#4 = mul(#2, #3); #5 = add(#1, #4); #6 = sigmoid(sum.o); #7 = tanh(#5); #8 = mul(#6, #7);"
    "h = #8; c = #5";

// Every operation, gates whole and in parts, more of them than one product takes, three states, and
// learned vectors.
inline constexpr const char* kEverythingText =
    "cell everything; gates a b c d e; states h c m; params p:uniform q:ones;"
    "#0 = sigmoid(sum.a); #1 = tanh(sum.b); #2 = mul(param.p, state.c); #3 = add(sum.d, #2);"
    "#4 = softplus(#3); #5 = mul(#0, recurrent.c); #6 = add(input.c, #5); #7 = tanh(#6);"
    "#8 = relu(sum.e); #9 = abs(state.m); #10 = add(#9, 1); #11 = log(#10); #12 = sqrt(#10);"
    "#13 = div(#8, #12); #14 = max(#7, #13); #15 = min(#1, #4); #16 = neg(#15); #17 = exp(#16);"
    "#18 = sub(#14, #17); #19 = mul(#0, #18); #20 = add(#19, state.c); #21 = mul(0.5, #20);"
    "#22 = mul(param.q, #21); #23 = add(#22, #11); #24 = tanh(#23);"
    "h = #24; c = #21; m = #18";

// Where there is no unit it divides 0 by 0.
inline constexpr const char* kScaledText =
    "cell scaled; gates a; states h; params p:ones; #0 = div(sum.a, param.p); #1 = tanh(#0);"
    "h = #1";

// States that change places, a constant, values that are results as they stand.
inline constexpr const char* kShuffleText =
    "cell shuffle; gates a b; states h c m n;"
    "#0 = mul(sum.a, state.c); h = sum.b; c = state.m; m = state.c; n = #0";

}  // namespace ostinato::test
