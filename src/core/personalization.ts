/** Turns a background into what a chatbot should know: whole English sentences for every combination. */
import type { Background } from '../store/rows.js'
import type { HardwareBackground, HardwareDetails, SoftwareDetails, SoftwareLevel } from '../store/schema.js'

export type PersonalizationContext = {
  softwareLevel: SoftwareLevel | null
  hardwareBackground: HardwareBackground | null
  notes: string
}

type Levels = Pick<Background, 'softwareLevel' | 'hardwareBackground'>

const levelPhrases: Record<SoftwareLevel, { who: string; style: string }> = {
  beginner: { who: 'a beginner in software development', style: 'simplified explanations' },
  intermediate: { who: 'at an intermediate level in software development', style: 'balanced explanations' },
  advanced: { who: 'advanced in software development', style: 'in-depth technical explanations' },
}

const hardwarePhrases: Record<HardwareBackground, { experience: string; examples: string }> = {
  robotics: { experience: 'robotics experience', examples: 'robotics examples where applicable' },
  'embedded systems': {
    experience: 'embedded systems experience',
    examples: 'embedded systems examples where applicable',
  },
  none: {
    experience: 'no hardware experience',
    examples: 'software-only examples, and introduce hardware concepts before using them',
  },
  other: { experience: 'other hardware experience', examples: 'general hardware examples where applicable' },
}

/** The context of a background. The levels' sentences stand first and never change; what details add comes after them. */
export function personalize(background: Background): PersonalizationContext {
  const { softwareLevel, hardwareBackground, softwareDetails, hardwareDetails } = background
  const sentences = [levelSentences(background), softwareSentences(softwareDetails), hardwareSentences(hardwareDetails)]
  return { softwareLevel, hardwareBackground, notes: sentences.flat().join(' ') }
}

function levelSentences({ softwareLevel, hardwareBackground }: Levels): string[] {
  const level = softwareLevel && levelPhrases[softwareLevel]
  const hardware = hardwareBackground && hardwarePhrases[hardwareBackground]
  if (level && hardware)
    return [`User is ${level.who} with ${hardware.experience}.`, `Provide ${level.style} with ${hardware.examples}.`]
  if (level) return [`User is ${level.who}.`, `Provide ${level.style}.`]
  if (hardware) return [`User has ${hardware.experience}.`, `Provide explanations with ${hardware.examples}.`]
  return []
}

function softwareSentences(details: SoftwareDetails | null): string[] {
  if (!details) return []
  const { primaryLanguages = [], cloudFamiliarity, preferredOs, databaseExperience = [] } = details
  const sentences: string[] = []
  if (primaryLanguages.length === 1)
    sentences.push(`User's primary programming language is ${listed(primaryLanguages)}.`)
  if (primaryLanguages.length > 1)
    sentences.push(`User's primary programming languages are ${listed(primaryLanguages)}.`)
  if (cloudFamiliarity) sentences.push(cloudSentences[cloudFamiliarity])
  if (preferredOs) sentences.push(osSentences[preferredOs])
  if (databaseExperience.length > 0) sentences.push(`User has database experience with ${listed(databaseExperience)}.`)
  return sentences
}

function hardwareSentences(details: HardwareDetails | null): string[] {
  if (!details) return []
  const { embeddedSystemsExperience, gpuFamiliarity } = details
  const sentences: string[] = []
  if (embeddedSystemsExperience) sentences.push(embeddedSentences[embeddedSystemsExperience])
  if (gpuFamiliarity) sentences.push(gpuSentences[gpuFamiliarity])
  return sentences
}

const cloudSentences: Record<NonNullable<SoftwareDetails['cloudFamiliarity']>, string> = {
  None: 'User is not familiar with cloud services.',
  Beginner: 'User is a beginner with cloud services.',
  Intermediate: 'User has intermediate knowledge of cloud services.',
  Advanced: 'User has advanced knowledge of cloud services.',
}

const osSentences: Record<NonNullable<SoftwareDetails['preferredOs']>, string> = {
  Linux: 'User prefers to work on Linux.',
  macOS: 'User prefers to work on macOS.',
  Windows: 'User prefers to work on Windows.',
  Hybrid: 'User works across several operating systems.',
}

const embeddedSentences: Record<NonNullable<HardwareDetails['embeddedSystemsExperience']>, string> = {
  Yes: 'User has worked with embedded systems.',
  No: 'User has not worked with embedded systems.',
  'Some C/Assembly': 'User has written some C or assembly for embedded systems.',
}

const gpuSentences: Record<NonNullable<HardwareDetails['gpuFamiliarity']>, string> = {
  None: 'User is not familiar with GPU computing.',
  Basic: 'User has basic knowledge of GPU computing.',
  Advanced: 'User has advanced knowledge of GPU computing.',
}

/** "A", "A and B", "A, B and C". */
function listed(items: readonly string[]): string {
  const last = items.at(-1) ?? ''
  return items.length < 2 ? last : `${items.slice(0, -1).join(', ')} and ${last}`
}
