//! Kernels compiled twice: for every machine, and for those with 256-bit vectors and fused multiply-add (x86-64-v3).
//!
//! A kernel is plain code that the compiler vectorises; here it is only chosen which of its two compilations runs. The portable one is
//! the reference of the other in tests. Beside a kernel that asks for [`Arithmetic::add_product`] both give the same bits.

/// Code that gains by wide vectors. `run` has to be `#[inline(always)]`, and so has what it calls.
pub(crate) trait Kernel {
    /// What it gives.
    type Out;

    /// Does its work.
    fn run<A: Arithmetic>(self) -> Self::Out;
}

/// How a product is added to a sum.
pub(crate) trait Arithmetic {
    /// `sum + a * b`, rounded once or twice.
    fn add_product(sum: f32, a: f32, b: f32) -> f32;
}

/// Rounds the product, too.
pub(crate) struct Portable;

impl Arithmetic for Portable {
    #[inline(always)]
    fn add_product(sum: f32, a: f32, b: f32) -> f32 {
        sum + a * b
    }
}

/// Runs the compilation that suits the machine best.
#[inline]
pub(crate) fn widest<K: Kernel>(kernel: K) -> K::Out {
    #[cfg(target_arch = "x86_64")]
    return wide::run(kernel);
    #[cfg(not(target_arch = "x86_64"))]
    kernel.run::<Portable>()
}

#[cfg(target_arch = "x86_64")]
mod wide {
    use super::{Arithmetic, Kernel, Portable};
    use core::arch::x86_64::{_mm_cvtss_f32, _mm_fmadd_ss, _mm_set_ss};

    cpufeatures::new!(has, "avx2", "fma");

    /// Runs a kernel compiled for these, where processor and operating system have them.
    #[inline]
    pub(super) fn run<K: Kernel>(kernel: K) -> K::Out {
        if !has::get() {
            return kernel.run::<Portable>();
        }
        // SAFETY: the line above has found both features.
        #[allow(unsafe_code)]
        unsafe {
            compiled(kernel)
        }
    }

    #[target_feature(enable = "avx2,fma")]
    fn compiled<K: Kernel>(kernel: K) -> K::Out {
        kernel.run::<Fused>()
    }

    /// Rounds once. Only [`compiled`] names it.
    struct Fused;

    impl Arithmetic for Fused {
        #[inline(always)]
        fn add_product(sum: f32, a: f32, b: f32) -> f32 {
            // SAFETY: `Fused` is private and named only where the features are there.
            #[allow(unsafe_code)]
            unsafe {
                _mm_cvtss_f32(_mm_fmadd_ss(_mm_set_ss(a), _mm_set_ss(b), _mm_set_ss(sum)))
            }
        }
    }
}
