/** docs/security.md is what it says: no row is missing, and what holds is proved by a test that carries its id. */
import { existsSync, readFileSync } from 'node:fs'
import t from 'tap'

const root = new URL('../../', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8')
const page = read('docs/security.md')

type Row = { id: string; files: string[]; status: string }

const rows: Row[] = [...page.matchAll(/^\| ([A-Z]-\d\d) \|[^|]+\|([^|]*)\|([^|]+)\|$/gm)].map(
  ([, id = '', files = '', status = '']) => ({
    id,
    files: files.split(',').flatMap(file => file.trim() || []),
    status: status.trim(),
  }),
)

const count = (letter: string, from: number, to: number, without: number[] = []): string[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index)
    .filter(number => !without.includes(number))
    .map(number => `${letter}-${String(number).padStart(2, '0')}`)

/** What has to stand there, whatever becomes of the page. */
const required = [
  ...count('T', 1, 14),
  ...count('L', 1, 19, [10, 18]),
  ...count('C', 1, 13),
  ...count('A', 1, 12),
  ...count('F', 16, 25),
  ...count('R', 1, 40, [37, 38]),
]

/** Titles of tests; of a script, which has none, what it says of itself. */
function titlesOf(path: string): string {
  const text = read(path)
  if (!path.endsWith('.test.ts')) return text
  return [...text.matchAll(/\bt\.test\(\s*(['"`])(.*?)\1,/gs)].map(([, , title]) => title).join('\n')
}

t.test('every requirement has one row', async t => {
  t.ok(rows.length >= required.length, `${rows.length} rows`)
  for (const id of required) t.equal(rows.filter(row => row.id === id).length, 1, id)
  t.equal(new Set(rows.map(({ id }) => id)).size, rows.length, 'and no id has two')
})

t.test('what holds is proved where it says, and what deviates is argued', async t => {
  for (const { id, files, status } of rows) {
    t.match(status, /^(holds$|holds: \[|deviates|not applicable: \w)/, `${id}: ${status}`)
    if (status === 'holds') t.ok(files.length > 0, `${id} names a test`)
    for (const file of files) {
      if (!existsSync(new URL(file, root))) t.fail(`${id}: there is no ${file}`)
      else t.match(titlesOf(file), new RegExp(`\\b${id}\\b`), `${id} in ${file}`)
    }
    const [, anchor] = /\(#([\w-]+)\)/.exec(status) ?? []
    if (status.startsWith('deviates')) t.ok(anchor && anchors().includes(anchor), `${id}: argued under ${anchor}`)
  }
})

const anchors = (): string[] =>
  [...page.matchAll(/^### (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w -]/g, '')
      .replaceAll(' ', '-'),
  )
