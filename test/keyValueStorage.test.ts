/** The example of a storage over a `KeyValueStore`. */
import "../examples/key-value-storage.test.js"
