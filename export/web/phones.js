// Phones as numbers, as wavenet_tf/text encodes them for a voice.

import { FileError } from "./metadata.js";

const SILENCES = ["sil", "SIL", "sp", "<sil>", "<eps>", "pau", "_"];
const SILENCE = "sil";
const NONE = -1; // no stress or no word; also pads the utterance to max_phones
const PHONE = /^([^\d]*\p{L}[^\d]*)([0-2]?)$/u; // a name with a letter in it, and its stress

/**
 * Inputs of the signature `prosody`; the form checks rate and pitch.
 *
 * @param {string} text phones in ARPAbet or IPA, separated by spaces, vowels with a digit for their
 *     stress; "|" separates words, "sil" is a pause.
 * @param {number} rate factor of the speed.
 * @param {number} semitones by which F0 is raised.
 * @param {object} metadata of the model.
 * @returns {object} the numbers of each input.
 */
export function encodePhones(text, rate, semitones, metadata) {
  const spoken = parsePhones(text);
  const { phone_set: known, max_phones: size } = metadata;
  if (spoken.length > size) {
    throw new FileError(
      `the model takes at most ${size} phones and pauses at once; these are ${spoken.length}`,
    );
  }
  const unknown = spoken.find(({ label }) => !known.includes(label));
  if (unknown) {
    throw new FileError(`phones must be of ${known.join(", ")}; "${unknown.label}" is not`);
  }
  const numbers = (of) =>
    Int32Array.from({ length: size }, (_, k) => (spoken[k] ? of(spoken[k]) : NONE));
  return {
    phones: numbers(({ label }) => known.indexOf(label)),
    stress: numbers(({ stress }) => stress),
    words: numbers(({ word }) => word),
    question: numbers(() => 0),
    rate: Float32Array.of(rate),
    ...(metadata.features ? { semitones: Float32Array.of(semitones) } : {}),
  };
}

/** Label, stress and word of each phone, with silence at both ends and at pauses. */
function parsePhones(text) {
  const silence = { label: SILENCE, stress: NONE, word: NONE };
  const spoken = [silence];
  let words = 0;
  for (const part of text.split("|")) {
    const labels = part.split(/\s+/).filter(Boolean);
    if (labels.every((label) => SILENCES.includes(label))) {
      if (labels.length && spoken.at(-1) !== silence) {
        spoken.push(silence);
      }
      continue;
    }
    for (const label of labels) {
      const found = PHONE.exec(label);
      if (!found) {
        throw new FileError(`phones must be like HH AH0 L OW1; "${label}" is not`);
      }
      spoken.push({ label: found[1], stress: found[2] ? Number(found[2]) : NONE, word: words });
    }
    words += 1;
  }
  if (!words) {
    throw new FileError("type the phones to speak, such as HH AH0 L OW1, or choose a file of frames");
  }
  return spoken.at(-1) === silence ? spoken : [...spoken, silence];
}
