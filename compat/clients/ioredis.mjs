// Scenarios of ioredis: types, pipelines, transactions, and the cluster client.
// Usage: node ioredis.mjs PORT CLUSTER_PORT

import { Redis, Cluster } from 'ioredis'
import { binary, clusterPort, equal, finish, port, rejects, run } from './report.mjs'

async function types(client) {
  await client.flushall()
  equal(await client.set('text', 'hello'), 'OK')
  equal(await client.get('text'), 'hello')
  equal(await client.get('none'), null)
  equal(await client.set('text', 'x', 'NX'), null)
  equal(await client.set('text', 'new', 'GET'), 'hello')
  equal(await client.incrby('number', 41), 41)
  equal(await client.mset({ a: '1', b: '2' }), 'OK')
  equal(await client.mget('a', 'b', 'none'), ['1', '2', null])
  equal(await client.del('a', 'b', 'none'), 2)
  equal(await client.type('text'), 'string')
  equal(await client.strlen('text'), 3)
  await client.set('binary', binary)
  equal(await client.getBuffer('binary'), binary)
}

async function expiries(client) {
  equal(await client.set('k', 'v', 'EX', 100), 'OK')
  equal(await client.ttl('k'), 100)
  equal(await client.persist('k'), 1)
  equal(await client.pttl('k'), -1)
  equal(await client.ttl('none'), -2)
  equal(await client.pexpireat('k', 4102444800123), 1)
  equal(await client.pexpiretime('k'), 4102444800123)
  equal(await client.expire('k', -1), 1)
  equal(await client.exists('k'), 0)
}

async function errors(client) {
  await client.set('text', 'hello')
  await rejects(client.incr('text'), 'ERR value is not an integer or out of range')
  await rejects(client.call('NOSUCH', 'x'), "ERR unknown command 'NOSUCH', with args beginning with: 'x'")
  await rejects(client.call('GET'), "ERR wrong number of arguments for 'get' command")
  equal(await client.ping(), 'PONG')
}

async function pipelines(client) {
  const pipeline = client.pipeline()
  for (let index = 0; index < 10_000; index += 1) pipeline.set(`p:${index}`, index).get(`p:${index}`)
  const replies = await pipeline.exec()
  equal(replies.length, 20_000)
  equal(replies.every(([problem]) => problem === null), true)
  equal(replies.filter((_, index) => index % 2).map(([, value]) => value), Array.from({ length: 10_000 }, (_, index) => String(index)))
}

async function transactions(client) {
  equal(await client.multi().set('t', '1').incr('t').get('t').exec(), [[null, 'OK'], [null, 2], [null, '2']])
  await client.watch('t')
  await client.set('t', 'changed')
  equal(await client.multi().set('t', 'lost').exec(), null)
  equal(await client.get('t'), 'changed')
}

async function automaticPipelining() {
  const client = new Redis({ port, enableAutoPipelining: true })
  await Promise.all(Array.from({ length: 1000 }, (_, index) => client.set(`auto:${index}`, index)))
  equal(await Promise.all(Array.from({ length: 1000 }, (_, index) => client.get(`auto:${index}`))), Array.from({ length: 1000 }, (_, index) => String(index)))
  client.disconnect()
}

async function scans(client) {
  await client.flushall()
  const pipeline = client.pipeline()
  for (let index = 0; index < 1000; index += 1) pipeline.set(`s:${index}`, index)
  await pipeline.exec()
  const found = new Set()
  for await (const keys of client.scanStream({ match: 's:*', count: 100 })) keys.forEach((key) => found.add(key))
  equal(found.size, 1000)
  equal(await client.dbsize(), 1000)
}

async function databases() {
  const other = new Redis({ port, db: 7 })
  await other.set('seven', '7')
  const client = new Redis({ port })
  equal(await client.get('seven'), null)
  equal(await client.select(7), 'OK')
  equal(await client.get('seven'), '7')
  await client.flushdb()
  other.disconnect()
  client.disconnect()
}

async function clusterWork(cluster) {
  await cluster.flushall()
  await Promise.all(Array.from({ length: 500 }, (_, index) => cluster.set(`c:${index}`, index)))
  equal(await Promise.all(Array.from({ length: 500 }, (_, index) => cluster.get(`c:${index}`))), Array.from({ length: 500 }, (_, index) => String(index)))
  equal(await cluster.mset('{t}1', 'a', '{t}2', 'b'), 'OK')
  equal(await cluster.mget('{t}1', '{t}2', '{t}3'), ['a', 'b', null])
  equal(await cluster.pipeline().set('{t}1', '5').incr('{t}1').exec(), [[null, 'OK'], [null, 6]])
  equal(await cluster.multi().set('{t}1', '7').get('{t}1').exec(), [[null, 'OK'], [null, '7']])
  equal(cluster.nodes('all').length > 0, true)
  await rejects(cluster.incr('{t}2'), 'not an integer')
}

const client = new Redis({ port })
for (const check of [types, expiries, errors, pipelines, transactions, scans]) await run(check.name, check, client)
for (const check of [automaticPipelining, databases]) await run(check.name, check)
for (const scaleReads of ['master', 'all']) {
  const cluster = new Cluster([{ host: '127.0.0.1', port: clusterPort }], { scaleReads })
  await run(`cluster, reads from ${scaleReads}`, clusterWork, cluster)
  cluster.disconnect()
}
finish()
