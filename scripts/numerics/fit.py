#!/usr/bin/env python3
"""Minimax (Remez) fits of the polynomials in include/nibble/Numerics/Math.h.

Needs mpmath (any version). Prints float32 coefficients, lowest degree first, and the weighted
minimax error before the coefficients are rounded to float32. Run: python3 scripts/numerics/fit.py
"""
import struct
from mpmath import mp, mpf, matrix, lu_solve, exp, log, tanh, erf, erfc, sqrt, pi, cos

mp.dps = 50


def remez(f, weight, lo, hi, degree, rounds=12, grid=1200):
    """Coefficients of the polynomial p minimizing max |weight(x) * (f(x) - p(x))| on [lo, hi]."""
    lo, hi = mpf(lo), mpf(hi)
    n = degree + 2
    nodes = [(lo + hi) / 2 - (hi - lo) / 2 * cos(pi * k / (n - 1)) for k in range(n)]
    xs = [(lo + hi) / 2 - (hi - lo) / 2 * cos(pi * k / grid) for k in range(grid + 1)]
    fs = [f(x) for x in xs]
    ws = [weight(x) for x in xs]
    for _ in range(rounds):
        a, b = matrix(n, n), matrix(n, 1)
        for i, x in enumerate(nodes):
            for j in range(degree + 1):
                a[i, j] = x**j
            a[i, degree + 1] = (-1) ** i / weight(x)
            b[i] = f(x)
        c = lu_solve(a, b)
        coeffs = [c[j] for j in range(degree + 1)]
        err = [w * (y - mp.polyval(coeffs[::-1], x)) for x, y, w in zip(xs, fs, ws)]
        peaks, best = [], 0
        for i in range(1, len(xs)):
            if (err[i] > 0) != (err[i - 1] > 0):
                peaks.append(best)
                best = i
            elif abs(err[i]) > abs(err[best]):
                best = i
        peaks.append(best)
        while len(peaks) > n:
            peaks.pop(0 if abs(err[peaks[0]]) < abs(err[peaks[-1]]) else -1)
        if len(peaks) < n:
            break
        nodes = [xs[i] for i in peaks]
    return coeffs, max(abs(e) for e in err)


def show(name, coeffs, error):
    print(f"{name}: error {mp.nstr(error, 4)}")
    for c in coeffs:
        f32 = struct.unpack("f", struct.pack("f", float(c)))[0]
        print(f"  {f32.hex():>24}  {f32!r:>26}  {float(c).hex()}")


def removable(f, value_at_zero):
    return lambda x: mpf(value_at_zero) if abs(x) < mpf(10) ** -12 else f(x)


# exp(r) = 1 + r + r^2 q(r), |r| <= ln2/2 and a little.
h = log(mpf(2)) / 2 * mpf("1.0001")
show("exp q", *remez(removable(lambda r: (exp(r) - 1 - r) / r**2, 0.5), lambda r: r**2 / exp(r) + mpf(10) ** -9, -h, h, 4))
# log(1 + f) = f - f^2/2 + f^3 p(f), 1 + f in [sqrt(1/2), sqrt(2)].
show("log p", *remez(removable(lambda f: (log(1 + f) - f + f * f / 2) / f**3, mpf(1) / 3),
                     lambda f: f * f * (1 if abs(f) < mpf(10) ** -9 else abs(f / log(1 + f))) + mpf(10) ** -6,
                     sqrt(mpf(1) / 2) - 1, sqrt(mpf(2)) - 1, 8))
# tanh(x) = x + x z p(z), z = x^2, |x| <= 0.625.
show("tanh p", *remez(removable(lambda z: (tanh(sqrt(z)) / sqrt(z) - 1) / z, -mpf(1) / 3),
                      lambda z: z * (1 if z == 0 else sqrt(z) / tanh(sqrt(z))) + mpf(10) ** -6, 0, mpf("0.625") ** 2, 4))
# erf(x) = x + x p(z), z = x^2, |x| <= 0.921875.
show("erf p", *remez(removable(lambda z: erf(sqrt(z)) / sqrt(z) - 1, 2 / sqrt(pi) - 1), lambda z: 1 if z == 0 else sqrt(z) / erf(sqrt(z)),
                     0, mpf("0.921875") ** 2, 6))
# erf(x) = 1 - exp(-x q(x)), 0.921875 <= x <= 4.
show("erf q", *remez(lambda x: -log(erfc(x)) / x, lambda x: x * erfc(x) / erf(x), mpf("0.921875"), 4, 7))
# cos(pi x) = 1 + z c(z), z = x^2, |x| <= 1/4; sin(pi x) = x s(z) (double, learning-rate schedules).
show("cospi c", *remez(removable(lambda z: (cos(pi * sqrt(z)) - 1) / z, -pi**2 / 2), lambda z: z + mpf(10) ** -6, 0, mpf(1) / 16, 6))
show("sinpi s", *remez(removable(lambda z: mp.sin(pi * sqrt(z)) / sqrt(z), pi), lambda z: mpf(1) / 3, 0, mpf(1) / 16, 7))
