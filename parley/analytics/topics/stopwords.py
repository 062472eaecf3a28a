"""Words of English, Swedish and French that say nothing of what a question is about."""

_ENGLISH = """
a about after again all also am an and any anyone are aren't as at be because been before being but by can can't cannot
could couldn't did didn't do does doesn't doing don't during each else ever every few for from further get gets getting
give go going got had has hasn't have haven't having he hello help her here hers hey hi him his how how's i i'd i'll i'm
i've if in into is isn't it it's its itself just kind know let let's like lot make makes many may me might mine more
most much must my myself need needs no nor not now of off ok okay on once one only or other our ours out over own please
possible really regarding said same say says see seem seems she should shouldn't since so some something sort still such
sure take tell than thank thanks that that's the their theirs them themselves then there there's these they they're
thing things think this those though through to too try trying under until up us use very via want wanted wants was
wasn't way we we'd we're well were weren't what what's when where where's whether which while who who's whom whose why
will with without won't would wouldn't yes yet you you'd you're you've your yours yourself dont cant im ive whats isnt
doesnt didnt wont hows id
"""

_SWEDISH = """
aldrig alla allt alltså andra annan annat att av bara bli blir blev borde båda de dem den denna deras dess dessa det
detta dig din dina ditt dock du då där därför efter eller en er era ert ett finns fick flera fler få får för före från
genom ge ger gick gjorde gå går gör göra ha hade han hans har hej hela hellre henne hennes hjälp hon honom hos hur här i
icke igen in ingen inget inte ja jag ju kan kanske kommer kunde kunna lite man med mellan men mer mig min mina mitt
mot mycket måste många ni nog nu någon något några när nästa nej och också om oss på samma se sedan ser sig sin sina
sitt själv ska skall skulle så sådan sådana sådant tack till tills under ur ut utan vad var vara varför varje vart vem
verkligen vet vi vid vilka vilken vilket vill ville våra vår vårt väl är än ännu även åt över
"""

_FRENCH = """
ai aie ainsi alors apparemment après as au aucun aucune aujourd'hui aura auriez aurait aussi autre autres aux avait
avant avec avez avoir avons ayant beaucoup bien bonjour bonsoir ça car ce ceci cela celle celles celui cependant ces cet
cette ceux chaque chez ci combien comme comment connaître d dans de depuis dernier des dessous dessus deux devrait devez
dois doit donc dont du elle elles en encore entre es est et étaient était étant été être eu eux faire fais fait faites
faut font grâce ici il ils je jusque la là laquelle le lequel les leur leurs lors lui ma mais me même mêmes merci mes
mettre moi moins mon ne ni non nos notre nous on ont ou où oui par parce pas pendant peu peut peuvent peux plus plutôt
pour pourquoi pourrais pourrait pouvez pouvoir pouvons pourriez puis puis-je qu quand que quel quelle quelles quels
quelque qui quoi sa sais sans savoir se sera serait ses si s'il son sont souhaite sous suis sur svp ta te tes toi ton
toujours tous tout toute toutes très trop tu un une vais veut veux vers voici voilà voir vos votre voudrais vous
vraiment y
"""

STOP_WORDS = frozenset(f"{_ENGLISH} {_SWEDISH} {_FRENCH}".split())
