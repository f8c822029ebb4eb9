// Scenarios of node-redis: both protocols, types, pipelines, transactions, and the cluster client.
// Usage: node node_redis.mjs PORT CLUSTER_PORT

import { createClient, createCluster, RESP_TYPES } from 'redis'
import { binary, clusterPort, equal, finish, port, rejects, run } from './report.mjs'

async function types(client) {
  await client.flushAll()
  equal(await client.set('text', 'hello'), 'OK')
  equal(await client.get('text'), 'hello')
  equal(await client.get('none'), null)
  equal(await client.set('text', 'x', { condition: 'NX' }), null)
  equal(await client.set('text', 'new', { GET: true }), 'hello')
  equal(await client.incrBy('number', 41), 41)
  equal(await client.mSet({ a: '1', b: '2' }), 'OK')
  equal(await client.mGet(['a', 'b', 'none']), ['1', '2', null])
  equal(await client.del(['a', 'b', 'none']), 2)
  equal(await client.type('text'), 'string')
  equal(await client.bitCount('text'), 15)
  await client.set('binary', binary)
  equal(await client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer }).get('binary'), binary)
}

async function expiries(client) {
  equal(await client.set('k', 'v', { expiration: { type: 'EX', value: 100 } }), 'OK')
  equal(await client.ttl('k'), 100)
  equal(await client.persist('k'), 1)
  equal(await client.ttl('k'), -1)
  equal(await client.expireAt('k', 4102444800), 1)
  equal(await client.expireTime('k'), 4102444800)
  equal(await client.pExpire('k', -1), 1)
  equal(await client.exists('k'), 0)
}

async function errors(client) {
  await client.set('text', 'hello')
  await rejects(client.incr('text'), 'ERR value is not an integer or out of range')
  await rejects(client.sendCommand(['NOSUCH']), "ERR unknown command 'NOSUCH'")
  await rejects(client.sendCommand(['GET']), "ERR wrong number of arguments for 'get' command")
  equal(await client.ping(), 'PONG')
}

async function pipelines(client) {
  const replies = await Promise.all(Array.from({ length: 10_000 }, (_, index) => client.set(`p:${index}`, String(index)).then(() => client.get(`p:${index}`))))
  equal(replies, Array.from({ length: 10_000 }, (_, index) => String(index)))
}

async function transactions(client) {
  equal(await client.multi().set('t', '1').incr('t').get('t').exec(), ['OK', 2, '2'])
  const other = await client.duplicate().connect()
  await client.watch('t')
  await other.set('t', 'changed')
  await rejects(client.multi().set('t', 'lost').exec(), '')
  equal(await client.get('t'), 'changed')
  other.destroy()
}

async function scans(client) {
  await client.flushAll()
  await Promise.all(Array.from({ length: 1000 }, (_, index) => client.set(`s:${index}`, String(index))))
  const found = new Set()
  for await (const keys of client.scanIterator({ MATCH: 's:*', COUNT: 100 })) keys.forEach((key) => found.add(key))
  equal(found.size, 1000)
  equal(await client.dbSize(), 1000)
}

async function databases() {
  const other = await createClient({ socket: { port }, database: 8 }).connect()
  await other.set('eight', '8')
  const client = await createClient({ socket: { port } }).connect()
  equal(await client.get('eight'), null)
  await client.select(8)
  equal(await client.get('eight'), '8')
  await client.flushDb()
  other.destroy()
  client.destroy()
}

async function clusterWork(RESP) {
  const cluster = await createCluster({ rootNodes: [{ socket: { host: '127.0.0.1', port: clusterPort } }], defaults: { RESP }, RESP }).connect()
  await Promise.all(Array.from({ length: 500 }, (_, index) => cluster.set(`c:${index}`, String(index))))
  equal(await Promise.all(Array.from({ length: 500 }, (_, index) => cluster.get(`c:${index}`))), Array.from({ length: 500 }, (_, index) => String(index)))
  equal(await cluster.mSet({ '{t}1': 'a', '{t}2': 'b' }), 'OK')
  equal(await cluster.mGet(['{t}1', '{t}2', '{t}3']), ['a', 'b', null])
  equal(await cluster.multi().set('{t}1', '7').incr('{t}1').exec(), ['OK', 8])
  await rejects(cluster.incr('{t}2'), 'not an integer')
  cluster.destroy()
}

for (const RESP of [2, 3]) {
  const client = await createClient({ socket: { port }, RESP }).connect()
  for (const check of [types, expiries, errors, pipelines, transactions, scans]) await run(`${check.name}, RESP${RESP}`, check, client)
  client.destroy()
  await run(`cluster, RESP${RESP}`, clusterWork, RESP)
}
await run('databases', databases)
finish()
