"""What the tests declare: two projects, pools inside and outside, workers, and people."""

SECRET = "tulip-garden-42"
PASSWORD = "s3cret"

WORLD = f"""
groups: [viewers, operators, others, nobody]
users:
  - {{name: ann, password: {PASSWORD}, groups: [viewers]}}
  - {{name: bob, password: {PASSWORD}, groups: [viewers, operators]}}
  - {{name: cyd, password: {PASSWORD}, groups: [others]}}
  - {{name: dan, password: {PASSWORD}, groups: [operators]}}
  - {{name: eve, password: {PASSWORD}, groups: []}}
  - {{name: gus, password: {PASSWORD}, groups: [viewers], enabled: false}}
pools:
  - {{name: outside, agents: false, description: far}}
  - {{name: second, agents: false}}
  - {{name: foreign, agents: false}}
workers:
  - {{name: w1, pools: [outside], api_key: blue-heron, secret: {SECRET}}}
  - {{name: w2, pools: [outside], api_key: red-kite, secret: {SECRET}2}}
  - {{name: w3, pools: [second], api_key: grey-goose, secret: {SECRET}3}}
  - {{name: w4, pools: [foreign], api_key: black-swan, secret: {SECRET}4}}
  - {{name: lame, pools: [outside], api_key: lame-duck, secret: {SECRET}5, enabled: false}}
projects:
  - {{name: etl, viewers: [viewers], operators: [operators], pools: [outside, second]}}
  - {{name: foreign, viewers: [others], operators: [others], pools: [foreign]}}
templates:
  - {{name: bash, project: etl, body: "#!/bin/sh\\n{{{{ content|safe }}}}\\n"}}
  - {{name: html, project: etl, body: "#!/bin/sh\\n{{{{ content }}}}\\n"}}
  - {{name: bash, project: foreign}}
schedules:
  - {{name: first, project: etl, template: bash, pool: outside, script: echo hello}}
  - {{name: child, project: etl, template: bash, pool: outside, script: echo child, parent: first}}
  - {{name: elsewhere, project: etl, template: bash, pool: second, script: echo second}}
  - {{name: theirs, project: foreign, template: bash, pool: foreign, script: echo theirs}}
"""
