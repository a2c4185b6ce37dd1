// The uniform numbers of numpy.random.default_rng(seed), so that a seed gives the same audio here
// as in Python: PCG64, seeded by a SeedSequence.

const BITS_64 = (1n << 64n) - 1n;
const BITS_128 = (1n << 128n) - 1n;
const MULTIPLIER = (2549297995355413924n << 64n) | 4865540595714422341n;

/** Four words of 64 bits from a seed, as SeedSequence(seed).generate_state(4, uint64). */
function seedWords(seed) {
  const entropy = [];
  for (let rest = BigInt(seed); rest > 0n || !entropy.length; rest >>= 32n) {
    entropy.push(Number(rest & 0xffffffffn));
  }
  let constant = 0x43b0d7e5;
  const hash = (word) => {
    let value = word ^ constant;
    constant = Math.imul(constant, 0x931e8875);
    value = Math.imul(value, constant);
    return value ^ (value >>> 16);
  };
  const mix = (one, other) => {
    const value = (Math.imul(0xca01f9dd, one) - Math.imul(0x4973f715, other)) | 0;
    return value ^ (value >>> 16);
  };
  const pool = [0, 1, 2, 3].map((place) => hash(entropy[place] ?? 0));
  for (let from = 0; from < 4; from++) {
    for (let to = 0; to < 4; to++) {
      if (from !== to) {
        pool[to] = mix(pool[to], hash(pool[from]));
      }
    }
  }
  for (const word of entropy.slice(4)) {
    for (let to = 0; to < 4; to++) {
      pool[to] = mix(pool[to], hash(word));
    }
  }
  constant = 0x8b51f9dd;
  const words = Array.from({ length: 8 }, (_, place) => {
    let value = pool[place % 4] ^ constant;
    constant = Math.imul(constant, 0x58f38ded);
    value = Math.imul(value, constant);
    return BigInt((value ^ (value >>> 16)) >>> 0);
  });
  return [0, 2, 4, 6].map((place) => words[place] | (words[place + 1] << 32n));
}

export class Generator {
  /** @param {number | bigint} seed a whole number, 0 or above. */
  constructor(seed) {
    const [high, low, streamHigh, streamLow] = seedWords(seed);
    this.increment = ((((streamHigh << 64n) | streamLow) << 1n) | 1n) & BITS_128;
    this.state = (this.increment + ((high << 64n) | low)) & BITS_128;
    this.step();
    this.waiting = null;
  }

  step() {
    this.state = (this.state * MULTIPLIER + this.increment) & BITS_128;
  }

  word() {
    if (this.waiting !== null) {
      const word = this.waiting;
      this.waiting = null;
      return word;
    }
    this.step();
    const folded = (this.state >> 64n) ^ (this.state & BITS_64);
    const turn = this.state >> 122n;
    const word = ((folded >> turn) | (folded << (64n - turn))) & BITS_64;
    this.waiting = Number(word >> 32n);
    return Number(word & 0xffffffffn);
  }

  /** As many numbers in [0, 1), as Generator.random(count, float32). */
  random(count) {
    return Float32Array.from({ length: count }, () => (this.word() >>> 8) / 16777216);
  }
}
