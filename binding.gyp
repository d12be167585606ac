# The addon for node-gyp. CMakeLists.txt builds the same thing for cmake-js, and the core alone for
# its tests; both read native/sources.gypi. Sources stand there relative to the root of the package.
#
# gyp has no flags per file, so each instruction set is a static library over the same sources; its
# flags travel in `isa_flags`, expanded late (`>@`), once all variables of a target are known.
{
  'includes': ['native/sources.gypi'],
  'variables': {
    # openmp, threads or serial; `node-gyp configure --parallel=serial` overrides it.
    'conditions': [
      ['OS=="mac"', { 'parallel%': 'threads' }, { 'parallel%': 'openmp' }],
    ],
    # Errno and floating-point traps are never read. Contraction is off so that a multiply-add is
    # fused only where the source says so, whatever the compiler.
    'kernel_flags': ['-O3', '-fno-math-errno', '-fno-trapping-math', '-ffp-contract=off'],
  },
  'target_defaults': {
    'variables': {
      'isa_flags%': [],
      'msvc_isa_flags%': [],
    },
    'include_dirs': ['native'],
    'cflags_cc!': ['-std=gnu++17'],
    'cflags_cc': ['-std=c++20', '-fvisibility=hidden', '>@(isa_flags)'],
    'xcode_settings': {
      'CLANG_CXX_LANGUAGE_STANDARD': 'c++20',
      'CLANG_CXX_LIBRARY': 'libc++',
      'GCC_SYMBOLS_PRIVATE_EXTERN': 'YES',
      'MACOSX_DEPLOYMENT_TARGET': '11.0',
      'OTHER_CPLUSPLUSFLAGS': ['-std=c++20', '>@(isa_flags)'],
    },
    'msvs_settings': {
      'VCCLCompilerTool': {
        'AdditionalOptions': ['/std:c++20', '/Zc:__cplusplus', '/utf-8', '>@(msvc_isa_flags)'],
        # Link-time code generation could move code from one instruction set into another.
        'WholeProgramOptimization': 'false',
      },
    },
    'target_conditions': [
      # addon.gypi would add a source file to each static library.
      ['_type=="static_library"', { 'win_delay_load_hook': 'false' }],
    ],
  },
  'targets': [
    {
      'target_name': 'kernels_scalar',
      'type': 'static_library',
      'sources': ['<@(kernel_sources)'],
      'defines': ['OSTINATO_ISA=scalar'],
      'variables': { 'isa_flags': ['<@(kernel_flags)'] },
    },
    {
      'target_name': 'core',
      'type': 'static_library',
      'sources': ['<@(core_sources)'],
      'dependencies': ['kernels_scalar'],
      'cflags_cc!': ['-fno-exceptions'],
      'xcode_settings': { 'GCC_ENABLE_CPP_EXCEPTIONS': 'YES' },
      'msvs_settings': { 'VCCLCompilerTool': { 'ExceptionHandling': 1 } },
      'conditions': [
        ['OS=="win"', { 'defines': ['_HAS_EXCEPTIONS=1'] }],
        ['target_arch=="x64"', {
          'dependencies': ['kernels_avx2', 'kernels_avx512'],
          'defines': ['OSTINATO_HAVE_AVX2=1', 'OSTINATO_HAVE_AVX512=1'],
        }],
        ['target_arch=="arm64"', {
          'dependencies': ['kernels_neon'],
          'defines': ['OSTINATO_HAVE_NEON=1'],
        }],
        # The addon sees the core's headers, hence the same back end.
        ['parallel=="threads"', {
          'defines': ['OSTINATO_PARALLEL_THREADS=1'],
          'direct_dependent_settings': { 'defines': ['OSTINATO_PARALLEL_THREADS=1'] },
        }],
        ['parallel=="serial"', {
          'defines': ['OSTINATO_PARALLEL_SERIAL=1'],
          'direct_dependent_settings': { 'defines': ['OSTINATO_PARALLEL_SERIAL=1'] },
        }],
        ['parallel=="openmp" and OS!="win"', {
          'cflags_cc': ['-fopenmp'],
          'direct_dependent_settings': { 'cflags_cc': ['-fopenmp'], 'ldflags': ['-fopenmp'] },
        }],
        ['parallel=="openmp" and OS=="win"', {
          'msvs_settings': { 'VCCLCompilerTool': { 'OpenMP': 'true' } },
          'direct_dependent_settings': {
            'msvs_settings': { 'VCCLCompilerTool': { 'OpenMP': 'true' } },
          },
        }],
      ],
    },
    {
      'target_name': 'ostinato',
      'sources': ['<@(binding_sources)'],
      'dependencies': [
        'core',
        "<!(node -p \"require('node-addon-api').targets\"):node_addon_api_except_all",
      ],
      'defines': [
        'NAPI_VERSION=9',
        'NODE_ADDON_API_DISABLE_DEPRECATED',
        # A worker that is being terminated refuses every throw.
        'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
      ],
      'conditions': [
        ['OS=="linux"', {
          'ldflags': [
            # Threads of the OpenMP pool still run when Node unloads the addon with the last worker
            # that used it.
            '-Wl,-z,nodelete',
            '-Wl,-Bsymbolic',
            '-Wl,--exclude-libs,ALL',
            # Prebuilt packages carry libgomp beside the addon.
            "-Wl,-rpath,'$$ORIGIN'",
          ],
        }],
      ],
    },
  ],
  'conditions': [
    ['target_arch=="x64"', {
      'targets': [
        {
          'target_name': 'kernels_avx2',
          'type': 'static_library',
          'sources': ['<@(kernel_sources)'],
          'defines': ['OSTINATO_ISA=avx2'],
          'variables': {
            'isa_flags': ['<@(kernel_flags)', '-mavx2', '-mfma'],
            'msvc_isa_flags': ['/arch:AVX2'],
          },
        },
        {
          'target_name': 'kernels_avx512',
          'type': 'static_library',
          'sources': ['<@(kernel_sources)'],
          'defines': ['OSTINATO_ISA=avx512'],
          'variables': {
            'isa_flags': [
              '<@(kernel_flags)', '-mavx512f', '-mavx512bw', '-mavx512dq', '-mavx512vl', '-mfma',
              '-mprefer-vector-width=512',
            ],
            'msvc_isa_flags': ['/arch:AVX512'],
          },
        },
      ],
    }],
    ['target_arch=="arm64"', {
      'targets': [
        {
          # Advanced SIMD belongs to every 64-bit Arm, hence no flag of its own.
          'target_name': 'kernels_neon',
          'type': 'static_library',
          'sources': ['<@(kernel_sources)'],
          'defines': ['OSTINATO_ISA=neon'],
          'variables': { 'isa_flags': ['<@(kernel_flags)'] },
        },
      ],
    }],
  ],
}
