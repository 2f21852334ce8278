/** Texts that parsers are asked about: any text, and short ones made of what parsers give a meaning to. */
import * as fc from "fast-check"

const nasty = fc.stringOf(fc.constantFrom(",", "\"", "\\", "=", "*", "\t", " ", "W/", ";", "a", "0"), { maxLength: 40 })

export const text = fc.oneof(fc.fullUnicodeString(), fc.string16bits(), nasty)

/** Without the control characters that a field can't hold (RFC 9110 §5.5). */
export const fieldText = text.map((value) => value.replace(/[^\t\x20-\x7e\x80-\uffff]/g, ""))

export const tokenCharacters = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"

/** Names are lower-case; some of them are also on `Object.prototype`. */
export const token = fc.oneof(
  fc.stringOf(fc.constantFrom(...tokenCharacters), { minLength: 1, maxLength: 8 }),
  fc.constantFrom("__proto__", "constructor", "tostring", "valueof", "hasownproperty")
)
