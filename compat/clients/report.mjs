// One line `pass NAME` or `fail NAME: why` per check, as compat/run counts them.

import assert from 'node:assert/strict'

export const [port, clusterPort] = process.argv.slice(2).map(Number)
export const equal = assert.deepStrictEqual

let failed = 0

// Runs one check and prints how it ended.
export async function run(name, check, ...given) {
  try {
    await check(...given)
    console.log(`pass ${name}`)
  } catch (problem) {
    failed += 1
    console.log(`fail ${name}: ${String(problem.message).replaceAll('\n', '\\n')}`)
  }
}

// Fails unless the call is rejected with a message that has the text.
export async function rejects(call, text) {
  await assert.rejects(call, (problem) => String(problem.message).includes(text) || assert.fail(`error is ${problem.message}`))
}

// Ends the program; clients may still hold sockets.
export function finish() {
  process.exit(failed ? 1 : 0)
}

// Every byte there is.
export const binary = Buffer.from(Array.from({ length: 256 }, (_, index) => index))
