/** What a background becomes in words: every text in full, for somebody will read them to a model. */
import t from 'tap'
import { personalize } from '../../src/core/personalization.js'

type Background = Parameters<typeof personalize>[0]

const nothing: Background = {
  softwareLevel: null,
  hardwareBackground: null,
  softwareDetails: null,
  hardwareDetails: null,
}
const notes = (given: Partial<Background>) => personalize({ ...nothing, ...given }).notes

t.test('every combination of the levels', async t => {
  const texts: [Background['softwareLevel'], Background['hardwareBackground'], string][] = [
    [
      'beginner',
      'robotics',
      'User is a beginner in software development with robotics experience. Provide simplified explanations with robotics examples where applicable.',
    ],
    [
      'beginner',
      'embedded systems',
      'User is a beginner in software development with embedded systems experience. Provide simplified explanations with embedded systems examples where applicable.',
    ],
    [
      'beginner',
      'none',
      'User is a beginner in software development with no hardware experience. Provide simplified explanations with software-only examples, and introduce hardware concepts before using them.',
    ],
    [
      'beginner',
      'other',
      'User is a beginner in software development with other hardware experience. Provide simplified explanations with general hardware examples where applicable.',
    ],
    [
      'intermediate',
      'robotics',
      'User is at an intermediate level in software development with robotics experience. Provide balanced explanations with robotics examples where applicable.',
    ],
    [
      'intermediate',
      'embedded systems',
      'User is at an intermediate level in software development with embedded systems experience. Provide balanced explanations with embedded systems examples where applicable.',
    ],
    [
      'intermediate',
      'none',
      'User is at an intermediate level in software development with no hardware experience. Provide balanced explanations with software-only examples, and introduce hardware concepts before using them.',
    ],
    [
      'intermediate',
      'other',
      'User is at an intermediate level in software development with other hardware experience. Provide balanced explanations with general hardware examples where applicable.',
    ],
    [
      'advanced',
      'robotics',
      'User is advanced in software development with robotics experience. Provide in-depth technical explanations with robotics examples where applicable.',
    ],
    [
      'advanced',
      'embedded systems',
      'User is advanced in software development with embedded systems experience. Provide in-depth technical explanations with embedded systems examples where applicable.',
    ],
    [
      'advanced',
      'none',
      'User is advanced in software development with no hardware experience. Provide in-depth technical explanations with software-only examples, and introduce hardware concepts before using them.',
    ],
    [
      'advanced',
      'other',
      'User is advanced in software development with other hardware experience. Provide in-depth technical explanations with general hardware examples where applicable.',
    ],
    ['beginner', null, 'User is a beginner in software development. Provide simplified explanations.'],
    ['intermediate', null, 'User is at an intermediate level in software development. Provide balanced explanations.'],
    ['advanced', null, 'User is advanced in software development. Provide in-depth technical explanations.'],
    [null, 'robotics', 'User has robotics experience. Provide explanations with robotics examples where applicable.'],
    [
      null,
      'embedded systems',
      'User has embedded systems experience. Provide explanations with embedded systems examples where applicable.',
    ],
    [
      null,
      'none',
      'User has no hardware experience. Provide explanations with software-only examples, and introduce hardware concepts before using them.',
    ],
    [
      null,
      'other',
      'User has other hardware experience. Provide explanations with general hardware examples where applicable.',
    ],
    [null, null, ''],
  ]
  t.equal(texts.length, 4 * 5)
  for (const [softwareLevel, hardwareBackground, text] of texts)
    t.strictSame(
      personalize({ ...nothing, softwareLevel, hardwareBackground }),
      { softwareLevel, hardwareBackground, notes: text },
      `${softwareLevel}, ${hardwareBackground}`,
    )
})

t.test('every detail has its sentence', async t => {
  const software: [NonNullable<Background['softwareDetails']>, string][] = [
    [{ primaryLanguages: ['Python'] }, "User's primary programming language is Python."],
    [{ primaryLanguages: ['Python', 'Go'] }, "User's primary programming languages are Python and Go."],
    [{ primaryLanguages: ['Python', 'Go', 'C'] }, "User's primary programming languages are Python, Go and C."],
    [{ cloudFamiliarity: 'None' }, 'User is not familiar with cloud services.'],
    [{ cloudFamiliarity: 'Beginner' }, 'User is a beginner with cloud services.'],
    [{ cloudFamiliarity: 'Intermediate' }, 'User has intermediate knowledge of cloud services.'],
    [{ cloudFamiliarity: 'Advanced' }, 'User has advanced knowledge of cloud services.'],
    [{ preferredOs: 'Linux' }, 'User prefers to work on Linux.'],
    [{ preferredOs: 'macOS' }, 'User prefers to work on macOS.'],
    [{ preferredOs: 'Windows' }, 'User prefers to work on Windows.'],
    [{ preferredOs: 'Hybrid' }, 'User works across several operating systems.'],
    [{ databaseExperience: ['SQL', 'NoSQL'] }, 'User has database experience with SQL and NoSQL.'],
    [{ primaryLanguages: [], databaseExperience: [] }, ''],
    [{}, ''],
  ]
  for (const [softwareDetails, text] of software) t.equal(notes({ softwareDetails }), text)

  const hardware: [NonNullable<Background['hardwareDetails']>, string][] = [
    [{ embeddedSystemsExperience: 'Yes' }, 'User has worked with embedded systems.'],
    [{ embeddedSystemsExperience: 'No' }, 'User has not worked with embedded systems.'],
    [{ embeddedSystemsExperience: 'Some C/Assembly' }, 'User has written some C or assembly for embedded systems.'],
    [{ gpuFamiliarity: 'None' }, 'User is not familiar with GPU computing.'],
    [{ gpuFamiliarity: 'Basic' }, 'User has basic knowledge of GPU computing.'],
    [{ gpuFamiliarity: 'Advanced' }, 'User has advanced knowledge of GPU computing.'],
    [{}, ''],
  ]
  for (const [hardwareDetails, text] of hardware) t.equal(notes({ hardwareDetails }), text)
})

t.test('details come after the levels, and change nothing of them', async t => {
  t.equal(
    notes({
      softwareLevel: 'beginner',
      hardwareBackground: 'robotics',
      softwareDetails: {
        primaryLanguages: ['Python', 'JavaScript/TypeScript'],
        cloudFamiliarity: 'Intermediate',
        preferredOs: 'Linux',
        databaseExperience: ['SQL', 'NoSQL'],
      },
      hardwareDetails: { embeddedSystemsExperience: 'No', gpuFamiliarity: 'Basic' },
    }),
    "User is a beginner in software development with robotics experience. Provide simplified explanations with robotics examples where applicable. User's primary programming languages are Python and JavaScript/TypeScript. User has intermediate knowledge of cloud services. User prefers to work on Linux. User has database experience with SQL and NoSQL. User has not worked with embedded systems. User has basic knowledge of GPU computing.",
  )
})
